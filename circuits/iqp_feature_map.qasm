// IQP feature map with a variational layer: data in single and pairwise phases between Hadamards, then RY and CNOT layers.
//
// The phases are RZ(2 x_k) and exp(-i (pi - x_j)(pi - x_k) Z Z) on every pair of neighbours, the map repeated twice.
//
// Source: Havlicek et al., Nature 567, 209 (2019), arXiv 1804.11326.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
const int repetitions = 2;
const int layers = 2;

pragma qlazy.observable Z q[0]

@qlazy.data
input array[float[64], n] features;
input array[float[64], layers, n, 2] theta;

qubit[n] q;

gate rzz(t) a, b {
  cx a, b;
  rz(t) b;
  cx a, b;
}

for int r in [1:repetitions] {
  h q;
  for int k in [0:n-1] { rz(2 * features[k]) q[k]; }
  for int k in [0:n-2] { rzz(2 * (pi - features[k]) * (pi - features[k+1])) q[k], q[k+1]; }
}

for int l in [0:layers-1] {
  for int k in [0:n-1] {
    ry(theta[l, k, 0]) q[k];
    rz(theta[l, k, 1]) q[k];
  }
  for int k in [0:n-2] { cx q[k], q[k+1]; }
}
