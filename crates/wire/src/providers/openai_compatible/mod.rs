//! Any server that speaks OpenAI's wire format, as that one does.

use crate::provider::ProviderDescription;
use crate::providers::openai;

pub(crate) const DESCRIPTION: ProviderDescription = openai::DESCRIPTION;
