// Hardware-efficient ansatz: layers of RY and RZ on every qubit and a ring of CNOTs, after an RY encoding of the data.
//
// Source: Kandala et al., Nature 549, 242 (2017), arXiv 1704.05018.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
const int layers = 3;

pragma qlazy.observable Z q[0]

@qlazy.data
input array[float[64], n] features;
input array[float[64], layers, n, 2] theta;

qubit[n] q;

for int k in [0:n-1] { ry(features[k]) q[k]; }

for int l in [0:layers-1] {
  for int k in [0:n-1] {
    ry(theta[l, k, 0]) q[k];
    rz(theta[l, k, 1]) q[k];
  }
  // Two qubits have one pair, a longer chain closes to a ring.
  for int k in [0:n-2] { cx q[k], q[k+1]; }
  if (n > 2) { cx q[n-1], q[0]; }
}
