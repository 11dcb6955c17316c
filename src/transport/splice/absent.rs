//! Where the kernel cannot move bytes from socket to socket: every body is copied.

use std::{
    io,
    task::{Context, Poll},
};

use super::stream::{Sending, Stream};

/// No pipes.
#[derive(Debug)]
pub(super) struct Pipes;

impl Pipes {
    pub(super) fn new(_on: bool) -> Self {
        Self
    }

    pub(super) fn between(&self, _: &Stream, _: &Stream, _: Option<u64>) -> Option<Pipe> {
        None
    }

    pub(super) fn shrink(&self) {}
}

/// There is none.
#[derive(Debug)]
pub(super) enum Pipe {}

impl Pipe {
    pub(super) fn poll_fill(
        &mut self,
        _: &Stream,
        _: u64,
        _: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match *self {}
    }

    pub(super) fn drain(&mut self) -> Drain {
        match *self {}
    }
}

/// There is none.
#[derive(Debug)]
pub(super) enum Drain {}

impl Sending for Drain {
    fn written(&self) -> usize {
        match *self {}
    }

    fn poll(&mut self, _: &mut Stream, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}
