//! Bounds the lists of a message before it is decoded: two bytes on the wire can be a hundred in memory.
//!
//! Not here: whether a message makes sense. That is seen when it is decoded.

use crate::field::BadMessage;
use crate::generated as wire;
use crate::limits::{AMPLIFICATION, COUNTERS, DELIVERED_RECORDS, LABELS, OWNED_OBJECTS, RECORD_ITEMS};
use bytes::Bytes;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use std::marker::PhantomData;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::{Code, Status};
use tonic_prost::ProstEncoder;

/// A list, or a message within a message.
pub(crate) struct Field {
    tag: u32,
    name: &'static str,
    most: usize,
    /// What one element takes in memory beside its bytes.
    size: usize,
    /// The lists of an element; `None` where it is no message but text.
    fields: Option<&'static [Self]>,
}

const fn list<T>(tag: u32, name: &'static str, most: usize, fields: &'static [Field]) -> Field {
    Field {
        tag,
        name,
        most,
        size: size_of::<T>(),
        fields: Some(fields),
    }
}

const fn texts(tag: u32, name: &'static str, most: usize) -> Field {
    Field {
        fields: None,
        ..list::<String>(tag, name, most, &[])
    }
}

const EXTRA: &[Field] = &[
    list::<(String, i64)>(9, "token_usage.extra", COUNTERS, &[]),
    list::<(String, String)>(10, "token_usage.attributes", COUNTERS, &[]),
];
/// The lists of an `Interception`.
pub(crate) const INTERCEPTION: &[Field] = &[
    list::<wire::TokenUsage>(25, "interception.token_usages", RECORD_ITEMS, EXTRA),
    list::<wire::Prompt>(26, "interception.prompts", RECORD_ITEMS, &[]),
    list::<wire::ToolUsage>(27, "interception.tool_usages", RECORD_ITEMS, &[]),
    list::<wire::ModelThought>(28, "interception.model_thoughts", RECORD_ITEMS, &[]),
    texts(33, "interception.stored_items", RECORD_ITEMS),
];
const HELLO: &[Field] = &[list::<(String, String)>(7, "hello.labels", LABELS, &[])];

/// What is bounded in a message that a peer sends.
pub(crate) trait Bounded {
    /// Its lists.
    const FIELDS: &'static [Field] = &[];
}

impl Bounded for wire::Up {
    const FIELDS: &'static [Field] = &[list::<wire::Hello>(1, "up.hello", 1, HELLO)];
}
impl Bounded for wire::DeliverRequest {
    const FIELDS: &'static [Field] = &[list::<Bytes>(
        2,
        "deliver_request.interceptions",
        DELIVERED_RECORDS,
        &[],
    )];
}
impl Bounded for wire::AuthorizeRequest {}
impl Bounded for wire::OwnsRequest {
    const FIELDS: &'static [Field] = &[texts(3, "owns_request.objects", OWNED_OBJECTS)];
}
// What a control plane sends is bounded by the size of the message: a replica has to trust it anyway.
impl Bounded for wire::Down {}
impl Bounded for wire::AuthorizeResponse {}
impl Bounded for wire::OwnsResponse {}
impl Bounded for wire::DeliverResponse {}

/// Fails if a list has too many elements, or all of them together would take more memory than the message's length justifies.
pub(crate) fn check(bytes: &[u8], fields: &[Field]) -> Result<(), BadMessage> {
    let memory = weigh(bytes, fields)?;
    if memory > bytes.len().saturating_mul(AMPLIFICATION) {
        return Err(BadMessage("lists of nothing"));
    }
    Ok(())
}

fn weigh(mut rest: &[u8], fields: &[Field]) -> Result<usize, BadMessage> {
    const BROKEN: BadMessage = BadMessage("message");
    let mut counts = [0usize; 8];
    let mut memory = 0usize;
    while !rest.is_empty() {
        let (tag, wire_type) = decode_key(&mut rest).map_err(|_| BROKEN)?;
        let known = fields.iter().zip(&mut counts).find(|(field, _)| field.tag == tag);
        let (Some((field, count)), WireType::LengthDelimited) = (known, wire_type) else {
            skip_field(wire_type, tag, &mut rest, DecodeContext::default()).map_err(|_| BROKEN)?;
            continue;
        };
        let length = decode_varint(&mut rest)
            .ok()
            .and_then(|length| usize::try_from(length).ok());
        let (element, after) = length.and_then(|length| rest.split_at_checked(length)).ok_or(BROKEN)?;
        *count += 1;
        if *count > field.most {
            return Err(BadMessage(field.name));
        }
        let inside = field.fields.map_or(Ok(0), |fields| weigh(element, fields))?;
        memory = memory.saturating_add(field.size).saturating_add(inside);
        rest = after;
    }
    Ok(memory)
}

/// Protocol Buffers, with the lists bounded before they are decoded.
#[derive(Debug)]
pub(crate) struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: prost::Message + Send + 'static,
    U: prost::Message + Default + Bounded + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(PhantomData)
    }
}

/// The decoding half.
#[derive(Debug)]
pub(crate) struct BoundedDecoder<U>(PhantomData<U>);

impl<U: prost::Message + Default + Bounded> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = bytes::Buf::copy_to_bytes(message, bytes::Buf::remaining(message));
        check(&bytes, U::FIELDS)?;
        let decoded = U::decode(bytes).map_err(|error| Status::new(Code::InvalidArgument, error.to_string()))?;
        Ok(Some(decoded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    fn record(change: impl FnOnce(&mut wire::Interception)) -> Vec<u8> {
        let mut record = wire::Interception {
            id: vec![7; 16],
            model: "m".repeat(200),
            ..wire::Interception::default()
        };
        change(&mut record);
        record.encode_to_vec()
    }

    fn prompt() -> wire::Prompt {
        wire::Prompt {
            provider_response_id: "msg_1".into(),
            prompt: "hello".into(),
            ..wire::Prompt::default()
        }
    }

    #[test]
    fn each_list_ends_at_its_bound() {
        let with = |n| record(|record| record.prompts = vec![prompt(); n]);
        assert_eq!(check(&with(RECORD_ITEMS), INTERCEPTION), Ok(()));
        let error = check(&with(RECORD_ITEMS + 1), INTERCEPTION);
        assert_eq!(error, Err(BadMessage("interception.prompts")));
        let items = |n| record(|record| record.stored_items = vec!["msg_0123456789".to_owned(); n]);
        assert_eq!(check(&items(RECORD_ITEMS), INTERCEPTION), Ok(()));
        let error = check(&items(RECORD_ITEMS + 1), INTERCEPTION);
        assert_eq!(error, Err(BadMessage("interception.stored_items")));
        let counters = |n| {
            let usage = wire::TokenUsage {
                extra: (0..n).map(|at| (format!("counter_{at}"), 1)).collect(),
                ..wire::TokenUsage::default()
            };
            record(|record| record.token_usages = vec![usage])
        };
        assert_eq!(check(&counters(COUNTERS), INTERCEPTION), Ok(()));
        let error = check(&counters(COUNTERS + 1), INTERCEPTION);
        assert_eq!(error, Err(BadMessage("token_usage.extra")));
    }

    #[test]
    fn empty_elements_are_worth_no_more_memory_than_ten_times_their_bytes() {
        let with = |n| record(|record| record.token_usages = vec![wire::TokenUsage::default(); n]);
        assert_eq!(check(&with(3), INTERCEPTION), Ok(()));
        let error = check(&with(RECORD_ITEMS), INTERCEPTION);
        assert_eq!(error, Err(BadMessage("lists of nothing")));
    }

    #[test]
    fn what_is_no_message_is_told_without_reading_on() {
        for broken in [
            &b"\xff"[..],
            b"\x0a\x05abc",
            b"\xca\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        ] {
            assert_eq!(check(broken, INTERCEPTION), Err(BadMessage("message")), "{broken:?}");
        }
    }
}
