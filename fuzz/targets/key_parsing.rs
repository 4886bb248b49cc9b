//! Gateway keys, user tokens, master keys: whatever is accepted is exactly what was given, and nothing nearly right is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lychgate_fuzz::keys::{BASE62, check, checksum};
use lychgate_types::secret::{Credential, GatewayKeyKind, Kind, MasterKey, ProviderSecret, UserTokenKind};

fuzz_target!(|input: &[u8]| {
    credential::<GatewayKeyKind, UserTokenKind>(input);
    credential::<UserTokenKind, GatewayKeyKind>(input);
    if let Ok(text) = std::str::from_utf8(input) {
        master_key(text);
        provider_key(text);
    }
});

fn credential<K: Kind, Other: Kind>(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        check::<K>(text);
    }
    // No fuzzer finds a checksum, so it is put right.
    let digits = input.iter().map(|byte| char::from(BASE62[usize::from(*byte) % 62]));
    let mut text: String = K::PREFIX
        .chars()
        .chain(digits.chain(std::iter::repeat('0')).take(36))
        .collect();
    text.push_str(&checksum(text.as_bytes()));
    assert!(check::<K>(&text));
    assert!(
        Credential::<Other>::parse(&text).is_err(),
        "one kind passes for the other"
    );

    // One character less, more, or other than it should be is noticed.
    let at = input.iter().fold(0usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    }) % text.len();
    let mut other = text.clone();
    other.remove(at);
    assert!(Credential::<K>::parse(&other).is_err());
    other.insert(at, if text.as_bytes()[at] == b'x' { 'y' } else { 'x' });
    assert!(
        Credential::<K>::parse(&other).is_err(),
        "{other} is {text} with a mistake"
    );
    assert!(Credential::<K>::parse(&format!("{text}0")).is_err());
    assert!(Credential::<K>::parse(&format!(" {text}")).is_err());
    let (a, b) = (at.min(44), at.min(44) + 1);
    if text.as_bytes()[a] != text.as_bytes()[b] {
        let mut swapped = text.clone().into_bytes();
        swapped.swap(a, b);
        let swapped = String::from_utf8(swapped).expect("ASCII");
        assert!(
            Credential::<K>::parse(&swapped).is_err(),
            "{swapped} is {text} with two characters swapped"
        );
    }
}

fn master_key(text: &str) {
    if let Ok(key) = MasterKey::parse(text) {
        assert_eq!(key.to_hex().as_str(), text.trim().to_ascii_lowercase());
        let again = MasterKey::parse(&key.to_hex()).expect("its own text");
        assert_eq!((again.expose(), again.key_id()), (key.expose(), key.key_id()));
        assert_eq!(format!("{key:?}"), "MasterKey");
    }
}

fn provider_key(text: &str) {
    let secret = ProviderSecret::new(text.to_owned());
    let (masked, hint) = (secret.masked(), secret.hint());
    assert_eq!(secret.expose(), text);
    assert_eq!(format!("{secret:?}"), "ProviderSecret");
    let characters: Vec<char> = text.chars().collect();
    if characters.len() < 20 {
        assert_eq!((masked.as_str(), hint.as_str()), ("…", ""));
    } else {
        let ends: String = characters[..4]
            .iter()
            .chain(&['…'])
            .chain(&characters[characters.len() - 4..])
            .collect();
        assert_eq!((&masked, &hint), (&ends, &ends));
    }
}
