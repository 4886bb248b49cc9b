//! Amazon Bedrock in its own form: `InvokeModel` with a model's own body, and `Converse` with one body for all models. Both name
//! the model in the path, and stream in AWS's frames.
//!
//! Not here: the frames (`crate::frames`).

mod blocks;
mod converse;
mod error;
mod invoke;
mod request;
#[cfg(test)]
mod tests;
mod usage;

pub(crate) use converse::Converse;
pub(crate) use error::Errors;
pub(crate) use invoke::Invoke;

use crate::provider::{
    AllowedPath, BEARER, ClientSigns, Credentials, KeyForm, KeyUse, PLAIN_KEYS, ProviderDescription, REGION,
    SettingRule,
};
use lychgate_types::provider::Api;

/// The keys of a user of AWS, or of a role for a while.
const AWS_STATIC: KeyForm = KeyForm {
    name: "aws_static",
    settings: &[SettingRule::needed(REGION)],
    used: KeyUse::SignsFor("bedrock"),
};

pub(crate) const DESCRIPTION: ProviderDescription = ProviderDescription {
    base_path: "",
    paths: &[
        run("/model/{model}/invoke", Api::BedrockInvoke, false),
        run("/model/{model}/invoke-with-response-stream", Api::BedrockInvoke, true),
        run("/model/{model}/converse", Api::BedrockConverse, false),
        run("/model/{model}/converse-stream", Api::BedrockConverse, true),
        AllowedPath {
            takes_arns: true,
            model_letters: ":/",
            ..AllowedPath::question("/model/{model}/count-tokens")
        },
    ],
    own_query: &[],
    // What AWS takes there is a signature, which is a credential.
    query: Some(&[]),
    settings: &[],
    key_forms: &[PLAIN_KEYS[0], AWS_STATIC],
    other_models: None,
    models_ignore_case: false,
    credentials: Credentials {
        token: &[BEARER],
        own_key: &[BEARER.name],
        central_key: BEARER,
        payer: &[],
        query: &[],
    },
    signs: ClientSigns {
        paths: &["/model/", "/inference-profiles"],
        headers: &["x-amz-date", "x-amzn-bedrock-accept"],
    },
};

/// A path by which a model is run. It says itself whether it answers with a stream.
const fn run(path: &'static str, api: Api, streams: bool) -> AllowedPath {
    AllowedPath {
        takes_arns: true,
        model_letters: ":/",
        streams: Some(streams),
        ..AllowedPath::recorded(path, api)
    }
}
