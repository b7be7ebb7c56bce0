// An eigensolver: blocks of 8 qubits, 40 in all, in five measured loops one inside another.
//
// The loop is while^(2) of the paper: runs that have not left it by then are lost.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.loops discard
pragma qlazy.observable Z q[32]

input float[64] t1;
input array[float[64], 5, 32] theta;
input float[64] last;
qubit[40] q;
bit[5] c;

gate zxz(a, b, c) q { rz(a) q; rx(b) q; rz(c) q; }

// X, Z on every qubit, H and CNOT along the chain and back, then Z, X, Z; t1 in X of every qubit
def block(float[64] t1, readonly array[float[64], 32] theta, qubit[8] q) {
  for int k in [0:7] { rx(t1) q[k]; }
  for int k in [0:7] { rz(theta[k]) q[k]; }
  for int k in [0:6] { h q[k]; cx q[k], q[k+1]; }
  for int k in [6:-1:0] { h q[k+1]; cx q[k+1], q[k]; }
  for int k in [0:7] { zxz(theta[3*k+8], theta[3*k+9], theta[3*k+10]) q[k]; }
}

block(t1, theta[0], q[0:7]);
c[0] = measure q[0];
@qlazy.bound 2
while (c[0]) {
  block(t1, theta[1], q[8:15]);
  c[1] = measure q[8];
  @qlazy.bound 2
  while (c[1]) {
    block(t1, theta[2], q[16:23]);
    c[2] = measure q[16];
    @qlazy.bound 2
    while (c[2]) {
      block(t1, theta[3], q[24:31]);
      c[3] = measure q[24];
      @qlazy.bound 2
      while (c[3]) {
        block(t1, theta[4], q[32:39]);
        c[4] = measure q[32];
        @qlazy.bound 2
        while (c[4]) {
          rx(last) q[0:7];
          c[4] = measure q[32];
        }
        c[3] = measure q[24];
      }
      c[2] = measure q[16];
    }
    c[1] = measure q[8];
  }
  c[0] = measure q[0];
}
