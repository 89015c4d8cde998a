//! What stands between the socket and the client: nothing reaches the client that it cannot read.
//!
//! A publisher may put into a message what the broker carries and the client fails on: tables nested
//! thousands deep overflow the stack of the client's thread, and a text that is no UTF-8, or headers
//! larger than a frame, make it give up the connection with all that is consumed on it. The message
//! comes back, and so does the end. [`sieve`] finds the frames in which that can be, [`header`] and
//! [`method`] rewrite them; what was left out is said in the header `lv-unreadable`, which makes the
//! message a dead letter. Guards that a message can cost nobody but itself; its body goes through
//! untouched. What the server says of itself is trusted.

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod header;
mod method;
mod runtime;
mod sieve;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::io::{AsyncRead, AsyncWrite};

pub(super) use self::runtime::Kit;
use self::sieve::Sieve;

/// A connection's stream, with each incoming frame made readable.
pub(super) struct Inlet<S> {
    stream: S,
    sieve: Sieve,
}

impl<S> Inlet<S> {
    /// Takes a stream on which nothing was said yet; `wanted` is the largest frame that the client
    /// asks for, 0 for the server's.
    pub(super) fn new(stream: S, wanted: u32) -> Self {
        Self { stream, sieve: Sieve::new(wanted) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Inlet<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, sieve } = self.get_mut();
        loop {
            let given = sieve.give(out);
            if given > 0 || out.is_empty() {
                return Poll::Ready(Ok(given));
            }
            let read = ready!(Pin::new(&mut *stream).poll_read(context, sieve.space()))?;
            if read == 0 {
                // A frame that has only begun is of no use to anybody.
                return Poll::Ready(Ok(0));
            }
            sieve.filled(read);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Inlet<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures_util::io::AsyncReadExt;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A socket on which the bytes come in these pieces.
    struct Pieces(VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            out: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            let Some(mut piece) = self.0.pop_front() else { return Poll::Ready(Ok(0)) };
            let rest = piece.split_off(piece.len().min(out.len()));
            out[..piece.len()].copy_from_slice(&piece);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
            Poll::Ready(Ok(piece.len()))
        }
    }

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 0, 1], size.as_slice(), payload, &[0xce]].concat()
    }

    fn content(headers: &[u8]) -> Vec<u8> {
        let size = u32::try_from(headers.len()).unwrap().to_be_bytes();
        [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x20, 0], size.as_slice(), headers].concat()
    }

    /// A header with a text of so many bytes.
    fn long(name: &str, len: usize) -> Vec<u8> {
        let size = u32::try_from(len).unwrap().to_be_bytes();
        let name_len = u8::try_from(name.len()).unwrap();
        [&[name_len], name.as_bytes(), b"S", size.as_slice(), &vec![b'y'; len]].concat()
    }

    fn deliver(key: &str) -> Vec<u8> {
        let len = u8::try_from(key.len()).unwrap();
        [b"\0\x3c\0\x3c\x03tag\0\0\0\0\0\0\0\x07\x01\x00", [len].as_slice(), key.as_bytes()]
            .concat()
    }

    async fn through(pieces: Vec<Vec<u8>>, wanted: u32, most: usize) -> Vec<u8> {
        let mut inlet = Inlet::new(Pieces(pieces.into()), wanted);
        let (mut all, mut out) = (Vec::new(), vec![0; most]);
        loop {
            match inlet.read(&mut out).await.unwrap() {
                0 => return all,
                count => all.extend_from_slice(&out[..count]),
            }
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn any_frame() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            vec(any::<u8>(), 0..300).prop_map(|body| frame(3, &body)),
            Just(frame(8, &[])),
            "[a-z.]{0,20}".prop_map(|key| frame(1, &deliver(&key))),
            (1..200_usize).prop_map(|len| frame(2, &content(&long("lv-a", len)))),
            vec(any::<u8>(), 4..40)
                .prop_map(|text| frame(1, &[&[0, 10, 0, 50], text.as_slice()].concat())),
        ]
    }

    /// Cuts bytes into pieces of these lengths, again and again.
    fn cut(bytes: &[u8], lengths: &[usize]) -> Vec<Vec<u8>> {
        let (mut pieces, mut rest) = (Vec::new(), bytes);
        for len in lengths.iter().cycle() {
            let (piece, after) = rest.split_at((*len).min(rest.len()));
            pieces.push(piece.to_vec());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        pieces
    }

    proptest! {
        #[test]
        fn what_is_readable_passes_as_it_came_however_it_is_cut(
            frames in vec(any_frame(), 1..12),
            lengths in vec(1..90_usize, 1..6),
            most in 1..100_usize,
        ) {
            let sent = frames.concat();
            let got = block_on(through(cut(&sent, &lengths), 0, most));
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn bytes_that_are_no_frames_end_with_the_stream(bytes in vec(any::<u8>(), 1..400), most in 1..100_usize) {
            // A stream that never came to its end would never come back.
            let got = block_on(through(vec![bytes.clone()], 0, most));
            prop_assert!(got.len() <= bytes.len() + 2_048);
        }
    }

    #[tokio::test]
    async fn a_message_is_mended_between_others_that_are_not() {
        let deep = (0..1_000).fold(Vec::new(), |inside: Vec<u8>, _| {
            let size = u32::try_from(inside.len()).unwrap().to_be_bytes();
            [b"\x01nF", size.as_slice(), &inside].concat()
        });
        let (before, after) = (frame(3, b"before"), frame(3, b"after"));
        let sent =
            [before.clone(), frame(1, &deliver("mail")), frame(2, &content(&deep)), after.clone()];
        let got = through(cut(&sent.concat(), &[1_000]), 0, 64).await;
        assert!(got.starts_with(&before) && got.ends_with(&after));
        let said = b"header \"n\" is nested more than 32 deep";
        assert!(got.windows(said.len()).any(|window| window == said));
        assert!(got.len() < 300, "{}", got.len());
    }

    #[tokio::test]
    async fn headers_larger_than_any_frame_that_is_held_are_left_out_whole() {
        let (before, after) = (frame(3, b"before"), frame(3, b"after"));
        let huge = frame(2, &content(&long("a", 3 * 1024 * 1024)));
        let sent = [before.clone(), frame(1, &deliver("mail")), huge, after.clone()].concat();
        for most in [100, 70_000] {
            let got = through(cut(&sent, &[90_000]), 0, most).await;
            assert!(got.starts_with(&before) && got.ends_with(&after));
            let said = b"lv-unreadable";
            assert!(got.windows(said.len()).any(|window| window == said));
            assert!(got.len() < 300, "{}", got.len());
        }
    }

    #[tokio::test]
    async fn a_frame_is_as_large_as_both_sides_agreed() {
        let tune = |size: u32| {
            frame(1, &[&[0, 10, 0, 30, 0, 0], size.to_be_bytes().as_slice(), &[0, 60]].concat())
        };
        for (server, wanted, agreed) in [
            (131_072, 0, 131_072),
            (131_072, 16_384, 16_384),
            (8_192, 16_384, 8_192),
            (0, 16_384, 16_384),
            (100, 0, 4_096),
        ] {
            // A header that fits to the byte, and one that is a byte too long: class to flags are 14
            // bytes, then come the lengths of table, name and text, and the name.
            let fits = agreed - 8 - 14 - (4 + 1 + 1 + 5);
            for (len, is_left) in [(fits, true), (fits + 1, false)] {
                let sent = [tune(server), frame(2, &content(&long("a", len)))].concat();
                let got = through(vec![sent.clone()], wanted, 4_096).await;
                assert_eq!(got == sent, is_left, "{server} {wanted} {len}");
                assert!(got.len() <= agreed + tune(0).len());
            }
        }
    }
}
