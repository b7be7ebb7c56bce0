// A quantum neural network: one block of 4 qubits, every angle its own.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.observable Z q[0]

input float[64] t1;
input array[float[64], 11] rotation;
input array[float[64], 6] coupling;
qubit[4] q;

gate rxx(t) a, b {
  h a; h b;
  cx a, b; rz(t) b; cx a, b;
  h a; h b;
}
gate zxz(a, b, c) q { rz(a) q; rx(b) q; rz(c) q; }

zxz(t1, rotation[0], rotation[1]) q[0];
for int k in [1:3] { zxz(rotation[3*k-1], rotation[3*k], rotation[3*k+1]) q[k]; }
int next = 0;
for int j in [0:3] {
  for int k in [j+1:3] {
    rxx(coupling[next]) q[j], q[k];
    next += 1;
  }
}
