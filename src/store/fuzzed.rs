//! Properties of the ids that callers send back.

use super::ids::IdSigner;
use crate::domain::ids::{HoldKind, IdKind, OrderKind, SaleId, SignedId};

/// No text is an id of this service, unless it is what the signer writes for the same sale and key. An `@` stands for the right
/// tag, which nobody guesses.
pub(crate) fn ids(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    let signer = IdSigner::new(&[7; 32]);
    parsed::<HoldKind>(&signer, text);
    parsed::<OrderKind>(&signer, text);
    let Some((head, rest)) = text.split_once('@') else { return };
    let Some((sale, key)) = head.strip_prefix(HoldKind::PREFIX).and_then(|head| head.rsplit_once('_')) else { return };
    let Some(sale) = SaleId::parse(sale).filter(|_| key.len() == 12 && key.is_ascii()) else { return };
    let made = signer.hold(&sale, key);
    assert_eq!(parsed::<HoldKind>(&signer, made.as_str()).as_ref(), Some(&made));
    assert_eq!(signer.hold_of(&signer.order_of(&made)), made);
    assert_ne!(signer.order_of(&made).as_str(), made.as_str());
    let changed = format!("{}{rest}", made.as_str());
    assert_eq!(parsed::<HoldKind>(&signer, &changed).is_some(), rest.is_empty(), "{changed:?}");
}

fn parsed<K: IdKind>(signer: &IdSigner, text: &str) -> Option<SignedId<K>> {
    let id = signer.parse::<K>(text)?;
    assert_eq!(id.as_str(), text);
    assert_eq!(format!("{}{}_{}", K::PREFIX, id.sale(), id.key()), text[..text.len() - 12]);
    Some(id)
}
