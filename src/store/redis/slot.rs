//! Hash slots: which part of a Redis Cluster has a key. <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>

use redis::{Arg, Cmd};

use super::keys::SALES;
use crate::domain::ids::SaleId;

/// All slots of a cluster.
pub const SLOTS: u16 = 16_384;

/// The slot of a key: the CRC16 (XMODEM) of its hash tag, or of all of it where it has none.
pub fn of_key(key: &[u8]) -> u16 {
    tag(key).iter().fold(0, |crc, byte| step(crc, *byte)) % SLOTS
}

/// The slot of all keys of a sale, whose name is their tag.
pub fn of_sale(sale: &SaleId) -> u16 {
    of_key(sale.as_str().as_bytes())
}

/// The slot of a plain command.
pub fn of_command(command: &Cmd) -> u16 {
    of_key(key_of(command))
}

/// The first key of a plain command. What is about no key, such as TIME, goes where the directory is.
pub fn key_of(command: &Cmd) -> &[u8] {
    let mut words = command.args_iter().filter_map(|arg| match arg {
        Arg::Simple(word) => Some(word),
        // No command here has another kind of argument.
        _ => None,
    });
    let key = match words.next() {
        Some(b"TIME") => None,
        Some(b"XINFO") => words.nth(1),
        Some(b"XREAD") => words.find(|word| *word == b"STREAMS").and_then(|_| words.next()),
        _ => words.next(),
    };
    key.unwrap_or(SALES.as_bytes())
}

/// What stands between the first brace and the next closing one, unless that is nothing.
pub fn tag(key: &[u8]) -> &[u8] {
    let inside = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|byte| *byte == b'}').map(|close| &rest[..close])
    });
    inside.filter(|inside| !inside.is_empty()).unwrap_or(key)
}

fn step(crc: u16, byte: u8) -> u16 {
    (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_that_a_cluster_computes() {
        // From CLUSTER KEYSLOT of Redis 7.0.
        for (key, slot) in [("123456789", 12_739), ("foo", 12_182), ("{foo}:a", 12_182), ("", 0), ("a{}b", 13_694)] {
            assert_eq!(of_key(key.as_bytes()), slot, "{key}");
        }
        assert_eq!(of_key(b"fs1:{drop}:sale"), of_key(b"drop"));
        assert_eq!(of_key(b"{}{foo}"), of_key(b"{}{foo}"), "an empty tag is none");
        assert_ne!(of_key(b"{}{foo}"), of_key(b"foo"));
    }

    #[test]
    fn a_command_goes_where_its_key_is() {
        let of = |words: &[&str]| {
            let mut command = redis::cmd(words[0]);
            words[1..].iter().for_each(|word| _ = command.arg(*word));
            of_command(&command)
        };
        let events = "fs1:{drop}:events";
        for words in [
            &["HGET", events, "field"][..],
            &["XINFO", "STREAM", events],
            &["XREAD", "COUNT", "2", "STREAMS", events, "0-0"],
        ] {
            assert_eq!(of(words), of_key(b"drop"), "{words:?}");
        }
        assert_eq!(of(&["TIME"]), of_key(SALES.as_bytes()));
    }
}
