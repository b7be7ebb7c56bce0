// QAOA for the largest cut of a ring of n >= 3 qubits: the output is the expected number of cut edges.
//
// A layer is exp(-i gamma/2 Z Z) on every edge, then RX(beta) on every qubit.
//
// Source: Farhi, Goldstone, Gutmann (2014), arXiv 1411.4028.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
const int layers = 2;
pragma qlazy.require n >= 3

pragma qlazy.observable sum(k in [0:n-1]) 0.5 (I q[k] - Z q[k] Z q[(k+1) % n])

input array[float[64], layers] gamma;
input array[float[64], layers] beta;

qubit[n] q;

gate rzz(t) a, b {
  cx a, b;
  rz(t) b;
  cx a, b;
}

h q;
for int l in [0:layers-1] {
  for int k in [0:n-1] { rzz(gamma[l]) q[k], q[(k+1) % n]; }
  rx(beta[l]) q;
}
