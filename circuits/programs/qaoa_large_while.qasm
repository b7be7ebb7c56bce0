// QAOA on a ring: blocks of 6 qubits, 36 in all, in five measured loops one inside another.
//
// The loop is while^(2) of the paper: runs that have not left it by then are lost.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.loops discard
pragma qlazy.observable Z q[30]

input float[64] t1;
input array[float[64], 6] beta;
qubit[36] q;
bit[5] c;

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
    c[2] = measure q[12];
    @qlazy.bound 2
    while (c[2]) {
      block(t1, beta[3], q[18:23]);
      c[3] = measure q[18];
      @qlazy.bound 2
      while (c[3]) {
        block(t1, beta[4], q[24:29]);
        c[4] = measure q[24];
        @qlazy.bound 2
        while (c[4]) {
          block(t1, beta[5], q[30:35]);
          c[4] = measure q[24];
        }
        c[3] = measure q[18];
      }
      c[2] = measure q[12];
    }
    c[1] = measure q[6];
  }
  c[0] = measure q[0];
}
