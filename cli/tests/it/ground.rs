//! What a test's processes stand on: one file, or servers of either generation.

use leveret_common::name::Namespace;
use leveret_common::testkit::services::{self, VirtualHost};

/// Makes tests of stories, each told on servers of both generations: `story::on_rabbitmq_3`, ….
macro_rules! on_servers {
    ($($story:ident),* $(,)?) => {$(
        mod $story {
            use crate::ground::Ground;

            #[tokio::test]
            async fn on_rabbitmq_3() {
                if let Some(ground) = Ground::rabbitmq_3().await {
                    super::$story(ground).await;
                }
            }

            #[tokio::test]
            async fn on_rabbitmq_4() {
                if let Some(ground) = Ground::rabbitmq_4().await {
                    super::$story(ground).await;
                }
            }
        }
    )*};
}

/// Makes tests of stories, each told on every backend: `story::on_embedded`, ….
macro_rules! on_every_ground {
    ($($story:ident),* $(,)?) => {$(
        mod $story {
            use crate::ground::Ground;

            #[tokio::test]
            async fn on_embedded() {
                super::$story(Ground::Embedded).await;
            }

            #[tokio::test]
            async fn on_rabbitmq_3() {
                if let Some(ground) = Ground::rabbitmq_3().await {
                    super::$story(ground).await;
                }
            }

            #[tokio::test]
            async fn on_rabbitmq_4() {
                if let Some(ground) = Ground::rabbitmq_4().await {
                    super::$story(ground).await;
                }
            }
        }
    )*};
}

/// The backend of a test.
#[derive(Debug, Clone)]
pub(crate) enum Ground {
    /// One process with everything.
    Embedded,
    /// RabbitMQ and Redis.
    Servers { broker: VirtualHost, store: String },
}

impl Ground {
    /// RabbitMQ 3 and Redis 7, where they run.
    pub(crate) async fn rabbitmq_3() -> Option<Self> {
        let (broker, store) = (services::rabbitmq_3().await?, services::redis_7()?);
        Some(Self::Servers { broker, store })
    }

    /// RabbitMQ 4 and Redis 8, where they run.
    pub(crate) async fn rabbitmq_4() -> Option<Self> {
        let (broker, store) = (services::rabbitmq_4().await?, services::redis_8()?);
        Some(Self::Servers { broker, store })
    }

    /// Returns the lines of `leveret.toml` that name it.
    pub(crate) fn settings(&self, namespace: &Namespace) -> String {
        match self {
            Self::Embedded => format!("namespace = \"{namespace}\"\n"),
            Self::Servers { broker, store } => format!(
                "namespace = \"{namespace}\"\nbroker.url = \"{}\"\nstore.url = \"{store}\"\n",
                broker.url
            ),
        }
    }
}
