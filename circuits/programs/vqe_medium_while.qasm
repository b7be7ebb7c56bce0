// An eigensolver: blocks of 4 qubits, 12 in all, in two measured loops one inside another.
//
// The loop is while^(2) of the paper: runs that have not left it by then are lost.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.loops discard
pragma qlazy.observable Z q[8]

input float[64] t1;
input array[float[64], 3, 15] theta;
qubit[12] q;
bit[2] c;

gate zxz(a, b, c) q { rz(a) q; rx(b) q; rz(c) q; }

// X, Z on every qubit, H and CNOT along the chain and back, then Z, X, Z; t1 in X of every qubit and in Z of the first
def block(float[64] t1, readonly array[float[64], 15] theta, qubit[4] q) {
  for int k in [0:3] { rx(t1) q[k]; }
  rz(t1) q[0];
  for int k in [1:3] { rz(theta[k-1]) q[k]; }
  for int k in [0:2] { h q[k]; cx q[k], q[k+1]; }
  for int k in [2:-1:0] { h q[k+1]; cx q[k+1], q[k]; }
  for int k in [0:3] { zxz(theta[3*k+3], theta[3*k+4], theta[3*k+5]) q[k]; }
}

block(t1, theta[0], q[0:3]);
c[0] = measure q[0];
@qlazy.bound 2
while (c[0]) {
  block(t1, theta[1], q[4:7]);
  c[1] = measure q[4];
  @qlazy.bound 2
  while (c[1]) {
    block(t1, theta[2], q[8:11]);
    c[1] = measure q[4];
  }
  c[0] = measure q[0];
}
