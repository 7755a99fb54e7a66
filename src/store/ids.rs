//! The signer of ids: makes new ids at random, and proves that an id was made here.

use std::cell::RefCell;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::domain::ids::{HoldId, IdKind, OrderId, PART_CHARS, SaleId, SignedId};

/// 72 bits for a key and for a tag. Among a million live holds of one sale two collide with a chance of 1e-10.
const PART_BYTES: usize = 9;
/// Random bytes in the name of a sale that nobody named.
const SALE_BYTES: usize = 6;

/// Signs and checks the ids of holds and orders with the secret that Redis keeps and all workers share.
#[derive(Clone)]
pub struct IdSigner {
    keyed: Hmac<Sha256>,
}

impl IdSigner {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let keyed = Hmac::new_from_slice(secret).expect("HMAC takes a key of any length");
        Self { keyed }
    }

    /// A name for a sale that nobody named.
    ///
    /// # Panics
    /// When the operating system has no random numbers to give.
    pub fn new_sale(&self) -> SaleId {
        let random = RANDOM.with_borrow_mut(RandomBytes::next_part);
        let name = format!("sale-{}", hex::encode(&random[..SALE_BYTES]));
        SaleId::parse(&name).expect("letters, digits and a hyphen")
    }

    /// The id of the hold with this key.
    pub fn hold(&self, sale: &SaleId, key: &str) -> HoldId {
        self.sign(sale, key)
    }

    /// The order that this hold becomes. It is at most one, so it has the same key.
    pub fn order_of(&self, hold: &HoldId) -> OrderId {
        self.sign(hold.sale(), hold.key())
    }

    /// The hold that this order was.
    pub fn hold_of(&self, order: &OrderId) -> HoldId {
        self.sign(order.sale(), order.key())
    }

    /// `None` when this service never made the id.
    pub fn parse<K: IdKind>(&self, text: &str) -> Option<SignedId<K>> {
        let (sale, key, tag) = SignedId::<K>::split(text)?;
        let expected = self.tag::<K>(&sale, key);
        let is_ours: bool = expected.0.ct_eq(tag.as_bytes()).into();
        is_ours.then(|| SignedId::signed(sale, key, tag))
    }

    fn sign<K: IdKind>(&self, sale: &SaleId, key: &str) -> SignedId<K> {
        SignedId::signed(sale.clone(), key, self.tag::<K>(sale, key).as_str())
    }

    fn tag<K: IdKind>(&self, sale: &SaleId, key: &str) -> IdPart {
        let mut mac = self.keyed.clone();
        mac.update(K::PREFIX.as_bytes());
        mac.update(sale.as_str().as_bytes());
        mac.update(b"_");
        mac.update(key.as_bytes());
        let mut bytes = [0; PART_BYTES];
        bytes.copy_from_slice(&mac.finalize().into_bytes()[..PART_BYTES]);
        IdPart::encode(&bytes)
    }
}

/// The key or the tag of an id. Stored inline, because hundreds of keys wait in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IdPart([u8; PART_CHARS]);

impl IdPart {
    /// The key of a new hold.
    ///
    /// # Panics
    /// When the operating system has no random numbers to give.
    pub(super) fn random() -> Self {
        Self::encode(&RANDOM.with_borrow_mut(RandomBytes::next_part))
    }

    fn encode(bytes: &[u8; PART_BYTES]) -> Self {
        let mut chars = [0; PART_CHARS];
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut chars);
        debug_assert_eq!(written, Ok(PART_CHARS), "9 bytes are 12 characters");
        Self(chars)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A random number below this one, which is not 0.
///
/// # Panics
/// When the operating system has no random numbers to give.
pub(super) fn random_number(below: usize) -> usize {
    let random = RANDOM.with_borrow_mut(RandomBytes::next_part);
    let number = random.iter().fold(0_u64, |number, byte| number << 7 ^ u64::from(*byte));
    usize::try_from(number % below as u64).unwrap_or(0)
}

thread_local! {
    static RANDOM: RefCell<RandomBytes> =
        const { RefCell::new(RandomBytes { bytes: [0; RandomBytes::SIZE], used: RandomBytes::SIZE }) };
}

/// Random bytes from the operating system, fetched once for 64 ids. No byte is used twice.
struct RandomBytes {
    bytes: [u8; Self::SIZE],
    used: usize,
}

impl RandomBytes {
    const SIZE: usize = 64 * PART_BYTES;

    fn next_part(&mut self) -> [u8; PART_BYTES] {
        if self.used == Self::SIZE {
            getrandom::fill(&mut self.bytes).expect("the operating system gives random numbers");
            self.used = 0;
        }
        let mut part = [0; PART_BYTES];
        part.copy_from_slice(&self.bytes[self.used..self.used + PART_BYTES]);
        self.used += PART_BYTES;
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::HoldKind;

    fn signer() -> IdSigner {
        IdSigner::new(&[7; 32])
    }

    fn new_hold() -> HoldId {
        signer().hold(&SaleId::parse("drop-1").unwrap(), IdPart::random().as_str())
    }

    #[test]
    fn an_id_is_read_back() {
        let id = new_hold();
        assert_eq!(signer().parse(id.as_str()), Some(id));
    }

    #[test]
    fn an_id_that_differs_in_any_character_was_never_made_here() {
        let id = new_hold();
        for at in 0..id.as_str().len() {
            let mut bytes = id.as_str().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(bytes).unwrap();
            assert!(signer().parse::<HoldKind>(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_hold_id_is_no_order_id_and_another_secret_accepts_neither() {
        let hold = new_hold();
        let order = signer().order_of(&hold);
        assert_eq!(signer().hold_of(&order), hold);
        let forged = order.as_str().replace("order_", "hold_");
        assert!(signer().parse::<HoldKind>(&forged).is_none());
        assert!(IdSigner::new(&[8; 32]).parse::<HoldKind>(hold.as_str()).is_none());
    }

    #[test]
    fn sales_that_nobody_named_get_different_names_that_a_shop_could_choose() {
        let [one, other] = [signer().new_sale(), signer().new_sale()];
        assert!(one != other && !one.is_reserved());
    }
}
