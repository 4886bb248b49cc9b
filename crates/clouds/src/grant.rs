//! What an authority is asked.

use form_urlencoded::Serializer;
use lychgate_types::secret::ProviderSecret;
use zeroize::Zeroizing;

/// Where Entra ID is, unless it is that of another cloud.
pub const ENTRA_ID: &str = "https://login.microsoftonline.com";

/// What a credential is granted for.
#[derive(Debug)]
pub enum Grant {
    /// The secret of a client that is registered at Entra ID.
    EntraClientSecret {
        /// Where Entra ID is asked, an absolute URL.
        authority: String,
        /// The tenant that the client is registered in.
        tenant: String,
        /// The client's id.
        client: String,
        /// The client's secret.
        secret: ProviderSecret,
        /// What the credential is to be good for.
        scope: &'static str,
    },
}

/// What is posted to a token endpoint, as `application/x-www-form-urlencoded`. Without `Debug`: it has a secret in it.
#[allow(missing_debug_implementations, reason = "it has a secret in it")]
pub struct Question {
    /// The token endpoint.
    pub url: String,
    /// The form.
    pub form: Zeroizing<String>,
}

impl Grant {
    /// What to ask.
    pub fn question(&self) -> Question {
        match self {
            Self::EntraClientSecret {
                authority,
                tenant,
                client,
                secret,
                scope,
            } => {
                let mut form = Serializer::new(String::new());
                form.append_pair("grant_type", "client_credentials");
                form.append_pair("client_id", client);
                form.append_pair("client_secret", secret.expose());
                form.append_pair("scope", scope);
                Question {
                    url: format!("{}/{tenant}/oauth2/v2.0/token", authority.trim_end_matches('/')),
                    form: Zeroizing::new(form.finish()),
                }
            }
        }
    }

    /// What stands for the credential on record: whom it is for, and nothing of it.
    pub fn hint(&self) -> String {
        match self {
            Self::EntraClientSecret { client, .. } => format!("entra {client}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entra_is_asked_with_the_clients_secret() {
        let grant = Grant::EntraClientSecret {
            authority: "https://login.example/".to_owned(),
            tenant: "t-1".to_owned(),
            client: "c-1".to_owned(),
            secret: ProviderSecret::new("a&b=c~ d+e".to_owned()),
            scope: "https://ai.azure.com/.default",
        };
        let question = grant.question();
        assert_eq!(question.url, "https://login.example/t-1/oauth2/v2.0/token");
        let form: Vec<_> = form_urlencoded::parse(question.form.as_bytes()).into_owned().collect();
        let wanted = [
            ("grant_type", "client_credentials"),
            ("client_id", "c-1"),
            ("client_secret", "a&b=c~ d+e"),
            ("scope", "https://ai.azure.com/.default"),
        ];
        assert_eq!(form, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(grant.hint(), "entra c-1");
        assert!(!format!("{grant:?}").contains("a&b"));
    }
}
