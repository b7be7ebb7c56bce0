// An eigensolver: a block of 2 qubits, and another while its first qubit is found in 1, at most twice.
//
// The loop is while^(2) of the paper: runs that have not left it by then are lost.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.loops discard
pragma qlazy.observable Z q[0]

input float[64] t1;
input array[float[64], 2, 8] theta;
qubit[2] q;
bit c;

gate zxz(a, b, c) q { rz(a) q; rx(b) q; rz(c) q; }

// X, Z on every qubit, H and CNOT along the chain and back, then Z, X, Z; t1 in X of every qubit
def block(float[64] t1, readonly array[float[64], 8] theta, qubit[2] q) {
  for int k in [0:1] { rx(t1) q[k]; }
  for int k in [0:1] { rz(theta[k]) q[k]; }
  for int k in [0:0] { h q[k]; cx q[k], q[k+1]; }
  for int k in [0:-1:0] { h q[k+1]; cx q[k+1], q[k]; }
  for int k in [0:1] { zxz(theta[3*k+2], theta[3*k+3], theta[3*k+4]) q[k]; }
}

block(t1, theta[0], q);
c = measure q[0];
@qlazy.bound 2
while (c) {
  block(t1, theta[1], q);
  c = measure q[0];
}
