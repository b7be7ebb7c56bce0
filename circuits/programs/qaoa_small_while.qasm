// QAOA on a ring: a block of 3 qubits, and another while its first qubit is found in 1, at most twice.
//
// The loop is while^(2) of the paper: runs that have not left it by then are lost.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.loops discard
pragma qlazy.observable Z q[0]

input float[64] t1;
input array[float[64], 2] beta;
qubit[3] q;
bit c;

gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; }

// exp(-i t1/2 Z Z) on every edge of the ring, then RX(beta) on every qubit
def block(float[64] t1, float[64] beta, qubit[3] q) {
  for int k in [0:2] { rzz(t1) q[k], q[(k+1) % 3]; }
  rx(beta) q;
}

block(t1, beta[0], q);
c = measure q[0];
@qlazy.bound 2
while (c) {
  block(t1, beta[1], q);
  c = measure q[0];
}
