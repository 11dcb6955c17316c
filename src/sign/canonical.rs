//! Encoding and canonical forms of the COS signature.
