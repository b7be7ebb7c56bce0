// A quantum neural network: blocks of 6 qubits, 18 in all, in two measured loops one inside another.
//
// The loop is while^(2) of the paper: runs that have not left it by then are lost.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.loops discard
pragma qlazy.observable Z q[12]

input float[64] t1;
input array[float[64], 3, 25] theta;
qubit[18] q;
bit[2] c;

gate rxx(t) a, b {
  h a; h b;
  cx a, b; rz(t) b; cx a, b;
  h a; h b;
}
gate zxz(a, b, c) q { rz(a) q; rx(b) q; rz(c) q; }

// Z, X, Z on every qubit, then XX on every pair; t1 in those of the first qubit and in 5 couplings of the chain
def block(float[64] t1, readonly array[float[64], 25] theta, qubit[6] q) {
  zxz(t1, t1, t1) q[0];
  for int k in [1:5] { zxz(theta[3*k-3], theta[3*k-2], theta[3*k-1]) q[k]; }
  for int k in [0:4] { rxx(t1) q[k], q[k+1]; }
  int next = 15;
  for int j in [0:5] {
    for int k in [j+1:5] {
      if (k > j + 1 || j >= 5) {
        rxx(theta[next]) q[j], q[k];
        next += 1;
      }
    }
  }
}

block(t1, theta[0], q[0:5]);
c[0] = measure q[0];
@qlazy.bound 2
while (c[0]) {
  block(t1, theta[1], q[6:11]);
  c[1] = measure q[6];
  @qlazy.bound 2
  while (c[1]) {
    block(t1, theta[2], q[12:17]);
    c[1] = measure q[6];
  }
  c[0] = measure q[0];
}
