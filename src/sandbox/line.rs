//! Connections that can be cut.
//!
//! A fault such as "carried out, but the line dropped" must leave the caller without one byte of an
//! answer. HTTP servers always answer, so the cut is made below them: every connection carries a
//! token, and once it is cancelled, reading and writing fail and the socket is closed.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{extract::connect_info::Connected, serve};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A handler's grip on the connection that its request came by.
#[derive(Clone, Debug)]
pub(super) struct Line(CancellationToken);

impl Line {
    /// Nothing is read from or written to this connection any more.
    pub fn cut(&self) {
        self.0.cancel();
    }

    /// Holds the line for `ms`, or until the sandbox stops.
    pub async fn hold(&self, ms: u64) {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            () = self.0.cancelled() => {}
        }
    }
}

impl Connected<serve::IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: serve::IncomingStream<'_, Lines>) -> Self {
        Line(stream.io().cut.clone())
    }
}

/// A listener whose connections can be cut one by one, and all of them through `stop`.
pub(super) struct Lines {
    pub listener: TcpListener,
    pub stop: CancellationToken,
}

impl serve::Listener for Lines {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, addr) = serve::Listener::accept(&mut self.listener).await;
        // Small answers must not wait for more; a socket that cannot do so still works.
        let _ = stream.set_nodelay(true);
        let cut = self.stop.child_token();
        let wire = Wire {
            stream,
            was_cut: Box::pin(cut.clone().cancelled_owned()),
            cut,
        };
        (wire, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A socket that fails once it was cut.
pub(super) struct Wire {
    stream: TcpStream,
    cut: CancellationToken,
    was_cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the line was cut")
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.was_cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(cut()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.cut.is_cancelled() {
            return Poll::Ready(Err(cut()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.cut.is_cancelled() {
            return Poll::Ready(Err(cut()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
