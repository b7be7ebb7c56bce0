// An eigensolver: one block of 2 qubits, every angle its own.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.observable Z q[0]

input float[64] t1;
input array[float[64], 9] theta;
qubit[2] q;

gate zxz(a, b, c) q { rz(a) q; rx(b) q; rz(c) q; }

rx(t1) q[0];
rx(theta[0]) q[1];
for int k in [0:1] { rz(theta[k+1]) q[k]; }
h q[0]; cx q[0], q[1];
h q[1]; cx q[1], q[0];
for int k in [0:1] { zxz(theta[3*k+3], theta[3*k+4], theta[3*k+5]) q[k]; }
