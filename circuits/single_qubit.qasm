// One rotation of one qubit: <Z> = cos theta, so the tangent kernel is sin^2 theta.
//
// Source: closed form; the smallest circuit whose kernel is not constant.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.observable Z q

input float[64] theta;

qubit q;

rx(theta) q;
