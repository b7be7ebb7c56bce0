OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit c;
for int i in [0:99999999999] { x q[0]; }