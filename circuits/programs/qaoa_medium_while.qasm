// QAOA on a ring: blocks of 6 qubits, 18 in all, in two measured loops one inside another.
//
// The loop is while^(2) of the paper: runs that have not left it by then are lost.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.loops discard
pragma qlazy.observable Z q[12]

input float[64] t1;
input array[float[64], 3] beta;
qubit[18] q;
bit[2] c;

gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; }

// exp(-i t1/2 Z Z) on every edge of the ring, then RX(beta) on every qubit
def block(float[64] t1, float[64] beta, qubit[6] q) {
  for int k in [0:5] { rzz(t1) q[k], q[(k+1) % 6]; }
  rx(beta) q;
}

block(t1, beta[0], q[0:5]);
c[0] = measure q[0];
@qlazy.bound 2
while (c[0]) {
  block(t1, beta[1], q[6:11]);
  c[1] = measure q[6];
  @qlazy.bound 2
  while (c[1]) {
    block(t1, beta[2], q[12:17]);
    c[1] = measure q[6];
  }
  c[0] = measure q[0];
}
