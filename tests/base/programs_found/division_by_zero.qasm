OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit c;
rx(1/0) q[0];