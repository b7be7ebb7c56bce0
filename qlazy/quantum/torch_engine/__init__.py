"""The adjoint sweep in torch, with states on the device of the parameters."""
