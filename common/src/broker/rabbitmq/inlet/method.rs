//! The methods that bring a message: names that are no UTF-8 are made some.
//!
//! A routing key is any bytes that a publisher likes, and reaches us from the queue below the
//! foreign door. Guards that the length stays: each byte that is wrong becomes a `?`, which is in no
//! name of ours, so the message is what one with a wrong key is.

/// Class `basic`.
const BASIC: u16 = 60;
/// `basic.deliver`.
const DELIVER: u16 = 60;
/// `basic.get-ok`.
const GET_OK: u16 = 71;

/// Makes the names in a method's payload readable.
pub(super) fn mend(payload: &mut [u8]) {
    let Some((head, rest)) = payload.split_at_mut_checked(4) else { return };
    let class = u16::from_be_bytes([head[0], head[1]]);
    let method = u16::from_be_bytes([head[2], head[3]]);
    let after_tag = match (class, method) {
        // The consumer's tag is ours; the delivery's, and a byte of flags, follow it.
        (BASIC, DELIVER) => rest.first().map(|len| 1 + usize::from(*len) + 9),
        (BASIC, GET_OK) => Some(9),
        _ => None,
    };
    let Some(mut names) = after_tag.and_then(|at| rest.get_mut(at..)) else { return };
    for _exchange_then_key in 0..2 {
        let Some((len, rest)) = names.split_first_mut() else { return };
        let Some((name, rest)) = rest.split_at_mut_checked(usize::from(*len)) else { return };
        readable(name);
        names = rest;
    }
}

/// Overwrites what is no UTF-8.
fn readable(mut text: &mut [u8]) {
    while let Err(error) = std::str::from_utf8(text) {
        let from = error.valid_up_to();
        let wrong = error.error_len().unwrap_or(text.len() - from);
        text[from..from + wrong].fill(b'?');
        text = &mut text[from + wrong..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(exchange: &[u8], key: &[u8]) -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 60, 3];
        payload.extend_from_slice(b"tag\0\0\0\0\0\0\0\x07\x01");
        for name in [exchange, key] {
            payload.push(u8::try_from(name.len()).unwrap());
            payload.extend_from_slice(name);
        }
        payload
    }

    #[test]
    fn a_routing_key_that_is_no_text_becomes_one_of_the_same_length() {
        for (key, mended) in [
            (b"mail.high".as_slice(), b"mail.high".as_slice()),
            (b"ma\xffil", b"ma?il"),
            (b"\xe2\x82", b"??"),
            (b"\xff\xfe\xc3\xbc\xff", b"??\xc3\xbc?"),
            (b"", b""),
        ] {
            let mut payload = deliver(b"le\xffveret", key);
            mend(&mut payload);
            assert_eq!(payload, deliver(b"le?veret", mended));
        }
    }

    #[test]
    fn every_other_method_and_what_is_cut_short_is_left_alone() {
        let mut other = deliver(b"\xff", b"\xff");
        for end in 0..16 {
            let mut payload = other[..end].to_vec();
            mend(&mut payload);
            assert_eq!(payload, other[..end]);
        }
        other[3] = 80;
        let before = other.clone();
        mend(&mut other);
        assert_eq!(other, before);
    }
}
