// A quantum neural network: a block of 4 qubits, and another while its first qubit is found in 1, at most twice.
//
// The loop is while^(2) of the paper: runs that have not left it by then are lost.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.loops discard
pragma qlazy.observable Z q[0]

input float[64] t1;
input array[float[64], 2, 13] theta;
qubit[4] q;
bit c;

gate rxx(t) a, b {
  h a; h b;
  cx a, b; rz(t) b; cx a, b;
  h a; h b;
}
gate zxz(a, b, c) q { rz(a) q; rx(b) q; rz(c) q; }

// Z, X, Z on every qubit, then XX on every pair; t1 in those of the first qubit and in 2 couplings of the chain
def block(float[64] t1, readonly array[float[64], 13] theta, qubit[4] q) {
  zxz(t1, t1, t1) q[0];
  for int k in [1:3] { zxz(theta[3*k-3], theta[3*k-2], theta[3*k-1]) q[k]; }
  for int k in [0:1] { rxx(t1) q[k], q[k+1]; }
  int next = 9;
  for int j in [0:3] {
    for int k in [j+1:3] {
      if (k > j + 1 || j >= 2) {
        rxx(theta[next]) q[j], q[k];
        next += 1;
      }
    }
  }
}

block(t1, theta[0], q);
c = measure q[0];
@qlazy.bound 2
while (c) {
  block(t1, theta[1], q);
  c = measure q[0];
}
