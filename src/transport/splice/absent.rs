//! Where the kernel cannot move bytes from socket to socket: every body is copied.

use std::{
    convert::Infallible,
    io,
    marker::PhantomData,
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

    pub(super) fn between(&self, _: &Stream, _: &Stream, _: Option<u64>) -> Option<Pipe<'_>> {
        None
    }

    pub(super) fn sweep(&self) {}
}

/// There is none.
#[derive(Debug)]
pub(super) struct Pipe<'p> {
    never: Infallible,
    _pipes: PhantomData<&'p Pipes>,
}

impl Pipe<'_> {
    pub(super) fn poll_fill(
        &mut self,
        _: &Stream,
        _: u64,
        _: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match self.never {}
    }

    pub(super) fn drain(&mut self) -> Drain {
        match self.never {}
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
