OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit c;
rx(10.0**400) q[0];