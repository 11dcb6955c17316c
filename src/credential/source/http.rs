//! `http`: a home-made key server that answers in any of the usual shapes.

use std::time::Duration;

use reqwest::{
    Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use zeroize::Zeroizing;

use crate::{
    clock::Clock,
    credential::{
        RefreshSettings,
        error::SourceError,
        settings::{HttpMethod, HttpSettings},
    },
};

use super::{Fetched, Fetching, KeySource, http_client::HttpClient, reply, token_file};

pub(super) struct HttpSource {
    client: HttpClient,
    settings: HttpSettings,
    clock: Clock,
}

impl HttpSource {
    pub(super) fn new(settings: HttpSettings, refresh: &RefreshSettings, clock: Clock) -> Self {
        let client = HttpClient {
            endpoint: settings.url.clone(),
            ca_file: settings.ca_file.clone(),
            connect_timeout: refresh.connect_timeout,
            total_timeout: settings.timeout.unwrap_or(refresh.attempt_timeout),
        };
        Self { client, settings, clock }
    }

    async fn ask(&self) -> Result<Fetched, SourceError> {
        let answer = self.client.call(self.request().await?).await?;
        // The life is counted from now: a shared server may hand out a key that is half used.
        reply::parse(&answer.body, self.clock.now()).map_err(|fault| fault.from(&self.settings.url))
    }

    async fn request(&self) -> Result<Request, SourceError> {
        let method = match self.settings.method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
        };
        let mut request = Request::new(method, self.settings.url.url());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if self.settings.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(path) = &self.settings.bearer_token_file {
            headers.insert(AUTHORIZATION, bearer(path).await?);
        }
        for header in &self.settings.headers {
            headers.insert(header.name.clone(), header.value.clone());
        }
        if let Some(body) = &self.settings.body {
            *request.body_mut() = Some(body.as_bytes().to_vec().into());
        }
        Ok(request)
    }
}

async fn bearer(path: &std::path::Path) -> Result<HeaderValue, SourceError> {
    let token = token_file::read(path).await?;
    let value = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(&value).map_err(|_impossible| SourceError::File {
        path: path.display().to_string(),
        fault: "the token cannot stand in a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl KeySource for HttpSource {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.ask())
    }

    fn deadline(&self) -> Duration {
        self.client.total_timeout + Duration::from_secs(1)
    }
}
