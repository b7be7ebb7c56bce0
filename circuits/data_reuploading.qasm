// Data re-uploading: every layer encodes the data anew, through trainable weights and biases, RY(w x + b).
//
// Source: Perez-Salinas, Cervera-Lierta, Gil-Fuster, Latorre, Quantum 4, 226 (2020), arXiv 1907.02085.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
const int layers = 3;

pragma qlazy.observable Z q[0]

@qlazy.data
input array[float[64], n] features;
input array[float[64], layers, n] weight;
input array[float[64], layers, n] bias;
input array[float[64], layers, n] phase;

qubit[n] q;

for int l in [0:layers-1] {
  for int k in [0:n-1] {
    ry(weight[l, k] * features[k] + bias[l, k]) q[k];
    rz(phase[l, k]) q[k];
  }
  for int k in [0:n-2] { cz q[k], q[k+1]; }
  if (n > 2) { cz q[n-1], q[0]; }
}
