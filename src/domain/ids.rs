//! Ids: of sales, products, holds and orders. The ids of holds and orders are signed, so that an id which was never made
//! here is refused without asking Redis, and name their sale, so that no directory of holds is needed.

use std::{cell::RefCell, fmt, marker::PhantomData, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Characters of the random part and of the tag: 72 bits each. A million live holds of one sale collide with a chance of 1e-10.
const PART_CHARS: usize = 12;
const PART_BYTES: usize = 9;

/// A sale: `[a-z0-9-]{1,32}`. One sale is one hash slot. Shared, because every hold of a sale names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SaleId(Arc<str>);

impl SaleId {
    /// `None` when the text is not 1 to 32 of `a-z`, `0-9` and `-`.
    pub fn parse(text: &str) -> Option<Self> {
        let legible = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        (legible && (1..=32).contains(&text.len())).then(|| Self(text.into()))
    }

    /// A name for a sale that nobody named.
    ///
    /// # Panics
    /// When the operating system has no random numbers to give.
    pub fn mint() -> Self {
        let part = RANDOM.with_borrow_mut(Random::part);
        Self::parse(&part.iter().take(6).fold("sale-".to_owned(), |name, byte| name + &format!("{byte:02x}")))
            .expect("letters, digits and a hyphen")
    }

    /// The sale `p0`, which can never have a product.
    pub fn nowhere() -> Self {
        Self("p0".into())
    }

    /// `p` and digits: the form of the sale that a product gets when it names none. A shop cannot choose such a name.
    pub fn is_reserved(&self) -> bool {
        self.0.strip_prefix('p').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SaleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A product: 1 to 2^53 - 1, what every JSON reader holds exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProductId(u64);

impl ProductId {
    pub const MAX: u64 = (1 << 53) - 1;

    pub fn new(id: u64) -> Option<Self> {
        (1..=Self::MAX).contains(&id).then_some(Self(id))
    }

    /// Digits without sign or leading zeros, as in a path.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        canonical.then(|| text.parse().ok().and_then(Self::new)).flatten()
    }

    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an id names: the prefix on the wire, also part of what is signed.
pub trait Kind {
    const PREFIX: &'static str;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold;
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order;

impl Kind for Hold {
    const PREFIX: &'static str = "hold_";
}

impl Kind for Order {
    const PREFIX: &'static str = "order_";
}

/// `<prefix><sale>_<random><tag>`, signed. Only an [`IdSigner`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedId<K> {
    text: String,
    sale: SaleId,
    kind: PhantomData<K>,
}

pub type HoldId = SignedId<Hold>;
pub type OrderId = SignedId<Order>;

impl<K: Kind> SignedId<K> {
    /// As it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn sale(&self) -> &SaleId {
        &self.sale
    }

    /// The random part: names the hold within its sale, and the order that the hold becomes.
    pub fn key(&self) -> &str {
        let end = self.text.len() - PART_CHARS;
        &self.text[end - PART_CHARS..end]
    }
}

/// Makes and checks the ids of holds and orders with the secret that all workers share.
#[derive(Clone)]
pub struct IdSigner {
    keyed: Hmac<Sha256>,
}

/// Equal when they sign alike.
impl PartialEq for IdSigner {
    fn eq(&self, other: &Self) -> bool {
        self.tag::<Hold>(&SaleId::nowhere(), "") == other.tag::<Hold>(&SaleId::nowhere(), "")
    }
}

impl IdSigner {
    pub fn new(secret: &[u8; 32]) -> Self {
        let keyed = Hmac::new_from_slice(secret).expect("HMAC takes a key of any length");
        Self { keyed }
    }

    /// The key of a new hold: the random part of its id. [`IdSigner::hold`] signs it.
    ///
    /// # Panics
    /// When the operating system has no random numbers to give.
    pub fn mint() -> Part {
        Part::spell(&RANDOM.with_borrow_mut(Random::part))
    }

    /// The id of the hold with this key.
    pub fn hold(&self, sale: &SaleId, key: &str) -> HoldId {
        self.sign(sale, key)
    }

    /// The order that this hold becomes: at most one, hence the same key.
    pub fn order_of(&self, hold: &HoldId) -> OrderId {
        self.sign(&hold.sale, hold.key())
    }

    /// The hold that this order was.
    pub fn hold_of(&self, order: &OrderId) -> HoldId {
        self.sign(&order.sale, order.key())
    }

    /// `None` when this service never made the id.
    pub fn parse<K: Kind>(&self, text: &str) -> Option<SignedId<K>> {
        let (sale, parts) = split_parts(text.strip_prefix(K::PREFIX)?)?;
        let sale = SaleId::parse(sale)?;
        let (key, tag) = parts.split_at(PART_CHARS);
        let expected = self.tag::<K>(&sale, key);
        let fits: bool = expected.0.ct_eq(tag.as_bytes()).into();
        fits.then(|| SignedId { text: text.to_owned(), sale, kind: PhantomData })
    }

    fn sign<K: Kind>(&self, sale: &SaleId, key: &str) -> SignedId<K> {
        let tag = self.tag::<K>(sale, key);
        let text = [K::PREFIX, sale.as_str(), "_", key, tag.as_str()].concat();
        SignedId { text, sale: sale.clone(), kind: PhantomData }
    }

    fn tag<K: Kind>(&self, sale: &SaleId, key: &str) -> Part {
        let mut mac = self.keyed.clone();
        mac.update(K::PREFIX.as_bytes());
        mac.update(sale.as_str().as_bytes());
        mac.update(b"_");
        mac.update(key.as_bytes());
        let mut bytes = [0; PART_BYTES];
        bytes.copy_from_slice(&mac.finalize().into_bytes()[..PART_BYTES]);
        Part::spell(&bytes)
    }
}

/// One of the two parts that end an id: the random key of a hold, or the tag. In place, for hundreds of them may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part([u8; PART_CHARS]);

impl Part {
    fn spell(bytes: &[u8; PART_BYTES]) -> Self {
        let mut chars = [0; PART_CHARS];
        let spelled = URL_SAFE_NO_PAD.encode_slice(bytes, &mut chars);
        debug_assert_eq!(spelled, Ok(PART_CHARS), "9 bytes are 12 characters");
        Self(chars)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

thread_local! {
    static RANDOM: RefCell<Random> = const { RefCell::new(Random { bytes: [0; Random::BYTES], used: Random::BYTES }) };
}

/// Random bytes from the operating system, asked for once in 64 ids. No byte is given out twice.
struct Random {
    bytes: [u8; Self::BYTES],
    used: usize,
}

impl Random {
    const BYTES: usize = 64 * PART_BYTES;

    fn part(&mut self) -> [u8; PART_BYTES] {
        if self.used == Self::BYTES {
            getrandom::fill(&mut self.bytes).expect("the operating system gives random numbers");
            self.used = 0;
        }
        let mut part = [0; PART_BYTES];
        part.copy_from_slice(&self.bytes[self.used..self.used + PART_BYTES]);
        self.used += PART_BYTES;
        part
    }
}

/// Splits `<sale>_<parts>` by length: the parts may contain `_` themselves.
fn split_parts(text: &str) -> Option<(&str, &str)> {
    let at = text.len().checked_sub(2 * PART_CHARS)?;
    let (head, parts) = text.is_ascii().then(|| text.split_at(at))?;
    Some((head.strip_suffix('_')?, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> IdSigner {
        IdSigner::new(&[7; 32])
    }

    #[test]
    fn an_id_is_read_back_with_its_sale_and_key() {
        let sale = SaleId::parse("drop-1").unwrap();
        let id = signer().hold(&sale, IdSigner::mint().as_str());
        let read: HoldId = signer().parse(id.as_str()).unwrap();
        assert_eq!(read, id);
        assert_eq!(read.sale(), &sale);
        assert_eq!(read.key().len(), PART_CHARS);
    }

    #[test]
    fn an_id_that_differs_in_any_character_was_never_made_here() {
        let id = signer().hold(&SaleId::parse("p1").unwrap(), IdSigner::mint().as_str());
        for at in 0..id.as_str().len() {
            let mut bytes = id.as_str().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(bytes).unwrap();
            assert!(signer().parse::<Hold>(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_hold_id_is_no_order_id_and_another_secret_knows_neither() {
        let hold = signer().hold(&SaleId::parse("p1").unwrap(), IdSigner::mint().as_str());
        let order = signer().order_of(&hold);
        assert_eq!(signer().hold_of(&order), hold);
        let forged = order.as_str().replace("order_", "hold_");
        assert!(signer().parse::<Hold>(&forged).is_none());
        assert!(IdSigner::new(&[8; 32]).parse::<Hold>(hold.as_str()).is_none());
    }

    #[test]
    fn strange_texts_are_no_ids() {
        for text in ["", "hold_", "hold_p1_", "hold_é_AAAAAAAAAAAAAAAAAAAAAAAA", "hold_p1_AAAAAAAAAAAAAAAAAAAAAAAé"] {
            assert!(signer().parse::<Hold>(text).is_none(), "{text}");
        }
        for text in ["0", "01", "-1", "+1", "1.0", "", "9007199254740992", "99999999999999999999999"] {
            assert!(ProductId::parse(text).is_none(), "{text}");
        }
        assert!(SaleId::parse("p12").unwrap().is_reserved());
        assert!(!SaleId::parse("pop").unwrap().is_reserved());
    }
}
