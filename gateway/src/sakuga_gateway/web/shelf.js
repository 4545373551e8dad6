/** The pictures of the queue in IndexedDB, so that a reload of the page loses none. */

const NAME = "sakuga";
const FACTS = "pictures"; // by id, without their files
const FILES = "files";

/** Tells the other tabs which picture has changed. */
const others = new BroadcastChannel(NAME);

let opened;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(FACTS, { keyPath: "id" });
      request.result.createObjectStore(FILES);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/** What one request gives; all that `act` does is kept, or none of it. */
async function transaction(mode, act) {
  const base = await database();
  return new Promise((resolve, reject) => {
    const change = base.transaction([FACTS, FILES], mode);
    const request = act(change.objectStore(FACTS), change.objectStore(FILES));
    change.oncomplete = () => resolve(request.result);
    change.onerror = change.onabort = () => reject(change.error);
  });
}

/** All pictures, in the order of the queue. */
export async function all() {
  const facts = await transaction("readonly", (pictures) => pictures.getAll());
  const found = await Promise.all(
    facts.map(async (each) => ({ ...each, file: await file(each.id) })),
  );
  return found.filter((each) => each.file).sort((a, b) => a.order - b.order);
}

/** One picture; null, where it has been removed. */
export async function one(id) {
  const facts = await transaction("readonly", (pictures) => pictures.get(id));
  const kept = facts && (await file(id));
  return kept ? { ...facts, file: kept } : null;
}

/** Calls back with each picture that another tab changes: its id, and what was told of it. */
export function followed(changed) {
  others.onmessage = ({ data }) => changed(data.id, data.facts);
}

/** Tells the other tabs of work that goes on. */
export const tell = (id, facts) => others.postMessage({ id, facts });

/** Changes the place of a picture in the queue, and nothing else. */
export async function place(id, order) {
  await transaction("readwrite", (pictures) => {
    const asked = pictures.get(id);
    asked.onsuccess = () => asked.result && pictures.put({ ...asked.result, order });
    return asked;
  });
  tell(id, { order });
}

const file = (id) => transaction("readonly", (_, files) => files.get(id));

/** Keeps what is known of a picture. */
export async function put({ file: _, ...facts }) {
  await transaction("readwrite", (pictures) => pictures.put(facts));
  tell(facts.id);
}

/** Keeps a picture with its file; gives the file as it is kept, whatever becomes of the first. */
export async function add({ file: given, ...facts }) {
  await transaction("readwrite", (pictures, files) => {
    files.put(given, facts.id);
    return pictures.put(facts);
  });
  tell(facts.id);
  return file(facts.id);
}

export async function remove(id) {
  await transaction("readwrite", (pictures, files) => {
    files.delete(id);
    return pictures.delete(id);
  });
  tell(id);
}
