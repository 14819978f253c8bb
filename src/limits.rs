//! Every bound of the program, with its reason. Nothing that a peer can make us remember is
//! without a constant here.
