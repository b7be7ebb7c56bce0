// QAOA on a ring: one block of 3 qubits, every angle its own.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.observable Z q[0]

input float[64] t1;
input array[float[64], 5] theta;
qubit[3] q;

gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; }

rzz(t1) q[0], q[1];
rzz(theta[0]) q[1], q[2];
rzz(theta[1]) q[2], q[0];
for int k in [0:2] { rx(theta[k+2]) q[k]; }
