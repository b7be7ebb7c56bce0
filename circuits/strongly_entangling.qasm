// Strongly entangling layers: a general rotation of every qubit, then CNOTs at a range that grows from layer to layer.
//
// Source: Schuld, Bocharov, Svore, Wiebe, Phys. Rev. A 101, 032308 (2020), arXiv 1804.00633.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
const int layers = 2;

pragma qlazy.observable Z q[0]

@qlazy.data
input array[float[64], n] features;
input array[float[64], layers, n, 3] theta;

qubit[n] q;

for int k in [0:n-1] { ry(features[k]) q[k]; }

for int l in [0:layers-1] {
  for int k in [0:n-1] {
    rz(theta[l, k, 0]) q[k];
    ry(theta[l, k, 1]) q[k];
    rz(theta[l, k, 2]) q[k];
  }
  if (n > 1) {
    int r = l % (n - 1) + 1;
    for int k in [0:n-1] { cx q[k], q[(k + r) % n]; }
  }
}
