use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::credential::{KeyFile, KeyFormat, SourceSettings};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

fn key(life: Option<u64>) -> Arc<Credential> {
    Arc::new(Credential {
        id: SecretId::new("AKIDkept").unwrap(),
        secret: SecretKey::new("Planted\"secret").unwrap(),
        token: Some(SessionToken::new("PlantedToken").unwrap()),
        expires_at: life.map(|seconds| NOW + Duration::from_secs(seconds)),
        received_at: NOW,
    })
}

fn settings(path: &Path, name: &str) -> KeySetSettings {
    let file = KeyFile { path: "/a".into(), format: KeyFormat::Auto, profile: None };
    KeySetSettings {
        cache_file: Some(path.to_owned()),
        ..KeySetSettings::new(name, SourceSettings::File(file))
    }
}

struct Stand {
    _folder: tempfile::TempDir,
    path: PathBuf,
    cache: KeyCache,
}

impl Stand {
    async fn with_a_kept_key() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.cache");
        let cache = KeyCache::of(&settings(&path, "default")).unwrap();
        cache.keep(key(Some(7200))).await;
        Self { _folder: folder, path, cache }
    }

    async fn gives_after(&self, seconds: u64) -> bool {
        self.cache.load(NOW + Duration::from_secs(seconds)).await.is_some()
    }
}

#[tokio::test]
async fn a_key_comes_back_whole_and_only_its_owner_may_read_it() {
    let stand = Stand::with_a_kept_key().await;
    let mode = std::fs::metadata(&stand.path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let now = NOW + Duration::from_secs(100);
    let back = stand.cache.load(now).await.unwrap();
    let kept = key(Some(7200));
    assert_eq!((&back.id, back.expires_at), (&kept.id, kept.expires_at));
    assert!(back.secret == kept.secret && back.token == kept.token);
    assert_eq!(back.received_at, now, "its refresh is planned within what is left");
    let others: Vec<_> = std::fs::read_dir(stand.path.parent().unwrap()).unwrap().collect();
    assert_eq!(others.len(), 1, "nothing is left beside it: {others:?}");
}

#[tokio::test]
async fn a_key_is_used_while_a_fifth_of_its_life_is_left() {
    let stand = Stand::with_a_kept_key().await;
    assert!(stand.gives_after(5760).await);
    assert!(!stand.gives_after(5761).await);
    assert!(!stand.gives_after(9000).await);
}

#[tokio::test]
async fn a_key_of_another_source_is_not_used() {
    let stand = Stand::with_a_kept_key().await;
    let other = KeyCache::of(&settings(&stand.path, "other")).unwrap();
    assert!(other.load(NOW).await.is_none());
}

#[tokio::test]
async fn a_file_that_others_may_use_is_refused() {
    for mode in [0o640, 0o604, 0o620, 0o602, 0o601, 0o660, 0o666] {
        let stand = Stand::with_a_kept_key().await;
        std::fs::set_permissions(&stand.path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(!stand.gives_after(0).await, "{mode:o}");
        stand.cache.keep(key(Some(7200))).await;
        assert!(stand.gives_after(0).await, "the next key makes it good again");
    }
}

#[tokio::test]
async fn a_link_a_folder_and_a_pipe_are_refused() {
    let stand = Stand::with_a_kept_key().await;
    let moved = stand.path.with_file_name("moved");
    std::fs::rename(&stand.path, &moved).unwrap();
    symlink(&moved, &stand.path).unwrap();
    assert!(!stand.gives_after(0).await, "a link");
    stand.cache.keep(key(Some(3600))).await;
    assert!(std::fs::symlink_metadata(&stand.path).unwrap().is_file(), "the link was replaced");
    let behind_the_link = KeyCache { path: moved, identity: stand.cache.identity.clone() };
    let old = behind_the_link.load(NOW).await.unwrap();
    assert_eq!(old.expires_at, key(Some(7200)).expires_at, "what it led to was not touched");

    std::fs::remove_file(&stand.path).unwrap();
    std::fs::create_dir(&stand.path).unwrap();
    assert!(!stand.gives_after(0).await, "a folder");
    stand.cache.keep(key(Some(7200))).await;
    std::fs::remove_dir(&stand.path).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &stand.path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(!stand.gives_after(0).await, "a pipe");
}

#[tokio::test]
async fn no_beginning_of_a_file_and_no_damage_gives_a_key() {
    let stand = Stand::with_a_kept_key().await;
    let whole = std::fs::read(&stand.path).unwrap();
    let mut broken: Vec<Vec<u8>> =
        (0..whole.len()).step_by(7).map(|end| whole[..end].to_vec()).collect();
    broken.push(b"{}".to_vec());
    broken.push(vec![b' '; 100_000]);
    broken.push(String::from_utf8(whole.clone()).unwrap().replace(":1,", ":2,").into());
    for bytes in broken {
        std::fs::write(&stand.path, &bytes).unwrap();
        assert!(!stand.gives_after(0).await, "{}", String::from_utf8_lossy(&bytes));
    }
    std::fs::write(&stand.path, &whole).unwrap();
    assert!(stand.gives_after(0).await);
}

#[tokio::test]
async fn a_key_without_a_known_end_is_not_kept_and_a_lost_folder_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.cache");
    let cache = KeyCache::of(&settings(&path, "default")).unwrap();
    cache.keep(key(None)).await;
    assert!(!path.exists());
    drop(folder);
    cache.keep(key(Some(7200))).await;
    assert!(cache.load(NOW).await.is_none());
}

#[tokio::test]
async fn what_a_killed_process_left_behind_does_not_stand_in_the_way() {
    let stand = Stand::with_a_kept_key().await;
    std::fs::write(stand.cache.beside(), "half").unwrap();
    stand.cache.keep(key(Some(7200))).await;
    assert!(stand.gives_after(0).await);
    assert!(!stand.cache.beside().exists());
}

#[test]
fn a_place_on_a_disk_is_warned_about_and_one_in_memory_is_not() {
    assert!(warning(Path::new("/proc/key")).unwrap().contains("tmpfs"));
    if is_in_memory(Path::new("/dev/shm")) {
        assert_eq!(warning(Path::new("/dev/shm/key")), None);
    }
}
