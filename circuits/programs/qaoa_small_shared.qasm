// QAOA on a ring: one block of 3 qubits, in which t1 is shared by 3 gates.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.observable Z q[0]

input float[64] t1;
input array[float[64], 1] beta;
qubit[3] q;

gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; }

// exp(-i t1/2 Z Z) on every edge of the ring, then RX(beta) on every qubit
def block(float[64] t1, float[64] beta, qubit[3] q) {
  for int k in [0:2] { rzz(t1) q[k], q[(k+1) % 3]; }
  rx(beta) q;
}

block(t1, beta[0], q);
