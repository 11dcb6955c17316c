//! https towards upstream.
