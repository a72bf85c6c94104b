//! A socket that holds back what it took, as TLS does when the network is full, until it is asked to flush.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Wake,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, BufWriter, duplex},
    time::timeout,
};

use super::*;
use crate::http2::{Limits, Rates};

const PATIENCE: Duration = Duration::from_secs(5);

struct Deaf;

impl Hears for Deaf {
    fn event(&mut self, _: Event<'_>, _: &mut Fields) {}
    fn released(&mut self, _: Token, _: usize) {}
}

fn link() -> Link {
    let rates = Rates { resets: 1, frames: 1 };
    let limits =
        Limits { max_streams: 1, max_header_list: 1 << 14, stream_window: 1 << 16, connection_window: 1 << 16, rates };
    Link::new(Connection::server(limits))
}

#[tokio::test]
async fn what_the_socket_holds_back_is_flushed() {
    let (link, scratch) = (link(), RefCell::default());
    let (near, mut far) = duplex(1 << 20);
    let mut driver = Driver::new(&link, BufWriter::new(near), &scratch);
    let driving = poll_fn(|cx| driver.poll(&mut Deaf, cx));
    let reading = async {
        let mut head = [0; 9];
        far.read_exact(&mut head).await.map(|_| head)
    };
    let head = tokio::select! {
        closed = driving => panic!("{closed:?}"),
        head = timeout(PATIENCE, reading) => head.expect("the settings leave").expect("a frame"),
    };
    const SETTINGS: u8 = 4;
    assert_eq!(head[3], SETTINGS);
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[tokio::test]
async fn while_the_network_is_full_the_driver_waits_for_it_and_no_longer() {
    let (link, scratch) = (link(), RefCell::default());
    // Takes four bytes at a time: the rest of what was written waits for the reader.
    let (near, mut far) = duplex(4);
    let mut driver = Driver::new(&link, BufWriter::new(near), &scratch);
    let woken = Arc::new(Woken::default());
    let waker = woken.clone().into();
    let mut cx = Context::from_waker(&waker);
    let count = || woken.0.load(SeqCst);
    assert!(driver.poll(&mut Deaf, &mut cx).is_pending());
    let idle = count();
    assert!(driver.poll(&mut Deaf, &mut cx).is_pending());
    assert_eq!(count(), idle, "nothing wakes the task while nobody reads");
    let mut taken = [0; 4];
    timeout(PATIENCE, far.read_exact(&mut taken)).await.expect("what fits leaves").expect("four bytes");
    assert!(count() > idle, "room wakes it");
    assert!(driver.poll(&mut Deaf, &mut cx).is_pending());
    timeout(PATIENCE, far.read_exact(&mut taken)).await.expect("and the next piece").expect("four bytes");
}
