OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit c;
gate g a { g a; }
g q[0];