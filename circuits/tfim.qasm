// Hamiltonian variational ansatz of the transverse-field Ising ring, n >= 3: the output is its energy -sum ZZ - sum X.
//
// A layer is exp(-i beta/2 Z Z) on every bond, then RX(alpha) on every qubit, from the ground state of the field.
//
// Source: Wiersema et al., PRX Quantum 1, 020319 (2020), arXiv 2008.02941.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
const int layers = 2;
pragma qlazy.require n >= 3

pragma qlazy.observable -sum(k in [0:n-1]) (Z q[k] Z q[(k+1) % n] + X q[k])

input array[float[64], layers] beta;
input array[float[64], layers] alpha;

qubit[n] q;

gate rzz(t) a, b {
  cx a, b;
  rz(t) b;
  cx a, b;
}

h q;
for int l in [0:layers-1] {
  for int k in [0:n-1] { rzz(beta[l]) q[k], q[(k+1) % n]; }
  rx(alpha[l]) q;
}
