// Data re-uploading with two qubits whatever the number of features: one of them is measured, reset and used again.
//
// Every feature is put on the worker, which acts on the memory and is measured; the result decides what the memory gets.
//
// Source: Deshpande et al. 2024, arXiv 2411.05760.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
const int layers = 1;

pragma qlazy.observable Z memory

@qlazy.data
input array[float[64], n] features;
input array[float[64], layers, n] weight;
input array[float[64], layers, n] bias;
input array[float[64], layers, n] coupling;
input array[float[64], layers, n, 2] feedback;
qubit memory;
qubit worker;
bit c;

for int l in [0:layers-1] {
  for int k in [0:n-1] {
    ry(weight[l, k] * features[k] + bias[l, k]) worker;
    crx(coupling[l, k]) worker, memory;
    h worker;
    c = measure worker;
    if (c) {
      ry(feedback[l, k, 1]) memory;
    } else {
      ry(feedback[l, k, 0]) memory;
    }
    reset worker;
  }
}
