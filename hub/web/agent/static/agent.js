// The door and the desk of the agent's page: who calls, what was dropped, and what became of each row and photo.
'use strict';
const $ = id => document.getElementById(id), body = document.body;
const texts = JSON.parse(body.dataset.texts), refusals = JSON.parse(body.dataset.refusals), lang = body.dataset.lang;
const say = key => texts[key] ?? key;
const FILES = 5, ROWS = 100;  // the newest files, and the rejected rows of one, that are shown
const LONGEST_ROSTER = 4000000, TRIES = 8, PATIENT = 60;  // bytes; calls that were put off; seconds
const photo = /\.(jpe?g|png)$/i, roster = /\.(xlsx|csv)$/i, archive = /\.zip$/i, litter = /^(\.|thumbs\.db$|desktop\.ini$)/i;
let key = sessionStorage.getItem('key') || '';
let turn = Promise.resolve(), busy = 0;
let photos = new Map(JSON.parse(sessionStorage.getItem('photos') || '[]'));  // name -> null, or why not

// -- what is asked of the hub, and what it says ------------------------------------------------------------------------

// Why something was not done, in both languages: what is shown outlives a change between them.
class Refused extends Error {
  constructor(why) { super(why[lang]); this.why = why; }
}
function refused(problem) {
  const errors = problem.errors?.length ? problem.errors : [{ en: problem.title, ar: problem.title_ar }];
  const told = { en: '', ar: '' };
  for (const name of ['en', 'ar']) told[name] = errors.map(e => e[name] ?? '').join(' ').trim();
  return new Refused(told.en && told.ar ? told : refusals.lost);
}
async function call(path, options = {}) {
  const mine = key;
  for (let tries = 1; ; tries++) {
    let told;
    try {
      told = await fetch(path, { ...options, headers: { Authorization: `Bearer ${mine}`, ...options.headers } });
    } catch { throw new Refused(refusals.lost); }
    const later = Number(told.headers.get('Retry-After')) || 1;
    // Whoever files a whole group's photos calls often: the hub says when to come again.
    if ([429, 503].includes(told.status) && later <= PATIENT && tries < TRIES) { await pause(later * 1000); continue; }
    if (told.status === 401) {
      if (mine === key) leave();
      throw new Refused(refusals.wrong_key);
    }
    if (!told.ok) throw refused(await told.json().catch(() => ({})));
    return told;
  }
}
const json = async path => (await call(path)).json();
const pause = wait => new Promise(go => setTimeout(go, wait));

function element(tag, text, cls) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (cls) made.className = cls;
  return made;
}
// The name of a file reads from its own side, whichever way the page runs.
function named(tag, name, ...rest) {
  const made = element(tag);
  made.append(element('bdi', name), ...rest);
  return made;
}
function trouble(error, name) {
  if (!(error instanceof Refused)) console.error(error);
  const text = error instanceof Refused ? error.message : refusals.lost[lang];
  $('problem').append(name ? named('p', name, `: ${text}`) : element('p', text));
  $('problem').hidden = false;
}
function quiet() { $('problem').replaceChildren(); $('problem').hidden = true; }

// -- in and out --------------------------------------------------------------------------------------------------------

async function enter() {
  quiet();
  const { files } = await json(`/v1/files?limit=${FILES}`);
  sessionStorage.setItem('key', key);
  $('key').value = '';
  $('door').hidden = true; $('inside').hidden = $('leave').hidden = false;
  $('begin').focus();
  for (const file of files.filter(one => one.operation === 'receive_roster').reverse()) follow(file);
  showPhotos();
  groups();
}
// Nothing of one agent is left for whoever sits down next.
function leave() {
  key = ''; photos = new Map(); sessionStorage.clear();
  for (const id of ['files-told', 'photos-told', 'groups']) $(id).replaceChildren();
  quiet();
  $('door').hidden = false; $('inside').hidden = $('leave').hidden = true;
  $('key').focus();
}

// -- what is dropped ---------------------------------------------------------------------------------------------------

function take(given) {
  quiet();
  busy++;
  const mine = key;
  turn = turn.then(() => taken(given, mine)).catch(trouble).finally(() => { busy--; });
}
// Whoever dropped it may have left, and another come: nothing is sent under a key that is not its own.
async function taken(given, mine) {
  const reading = [];
  for (const file of given.filter(one => roster.test(one.name))) {
    if (key !== mine) return;
    try { reading.push(await sendRoster(file)); } catch (error) { trouble(error, file.name); }
  }
  const pictures = given.filter(one => photo.test(one.name) || archive.test(one.name));
  for (const file of given) if (!roster.test(file.name) && !pictures.includes(file)) trouble(new Refused(refusals.other_file), file.name);
  if (!pictures.length || key !== mine) return;
  // A photo finds its pilgrim by passport: the rosters that came with it are read first.
  showPhotos(say('photos_later'));
  await Promise.all(reading.map(one => one.read));
  for (const file of pictures) {
    if (photo.test(file.name)) await sendPhoto(mine, file.name, file);
    else await sendArchive(mine, file);
  }
  if (key === mine) showPhotos();
}
async function sendRoster(file) {
  if (file.size > LONGEST_ROSTER) throw new Refused(refusals.file_too_large);
  const told = await call(`/v1/files?operation=receive_roster&name=${encodeURIComponent(file.name)}`, {
    method: 'POST', body: file,
    headers: { 'Content-Type': 'application/octet-stream', 'Idempotency-Key': crypto.randomUUID() } });
  const { id } = await told.json();
  return { read: follow({ id, name: file.name }) };
}
async function sendArchive(mine, file) {
  try {
    for await (const one of unzip(file)) {
      if (key !== mine) return;
      const short = one.name.split(/[\\/]/).pop();
      if (!litter.test(short)) await sendPhoto(mine, short, one.blob, one.why);
    }
  } catch { trouble(new Refused(refusals.zip_wrong), file.name); }
}
async function sendPhoto(mine, name, blob, why) {
  if (key !== mine) return;
  try {
    if (!photo.test(name)) throw new Refused(refusals.photo_name_wrong);
    if (!blob) throw new Refused(refusals[why]);
    if (blob.size > LONGEST) throw new Refused(refusals.photo_too_large);
    await call(`/v1/photos/${encodeURIComponent(name)}`, { method: 'PUT', body: blob, headers: { 'Content-Type': 'application/octet-stream' } });
    if (key !== mine) return;
    photos.set(name, null);
  } catch (error) {
    if (key !== mine) return;
    photos.set(name, error.why ?? refusals.lost);
  }
  showPhotos(say('photos_going'));
}

// -- what became of it -------------------------------------------------------------------------------------------------

function showPhotos(still) {
  const box = $('photos-told'), bad = [...photos].filter(([, why]) => why);
  if (!photos.size && !still) { box.replaceChildren(); return; }
  const line = element('p');
  line.append(`${say('photos')}: `, element('span', `${say('accepted')} ${photos.size - bad.length}`, 'good'), ' · ',
    element('span', `${say('rejected')} ${bad.length}`, bad.length ? 'bad' : ''));
  if (still) { const bar = element('progress'); bar.setAttribute('aria-label', still); line.append(' ', bar, ` ${still}`); }
  const list = element('ul');
  for (const [name, why] of bad) list.append(named('li', name, ': ', element('span', why[lang], 'bad')));
  box.replaceChildren(line, list);
}

// One file until it is read; its rejected rows come as they are found.
async function follow(file) {
  const mine = key, row = element('article'), line = element('p'), rows = element('div');
  row.append(named('h3', file.name), line, rows);
  line.setAttribute('role', 'status');
  line.append(say('waiting'));
  $('files-told').prepend(row);
  for (let wait = 300, shown = 0; key === mine; wait = Math.min(wait * 1.5, 3000)) {
    try {
      const told = await json(`/v1/files/${file.id}`), { read, accepted, rejected } = told.rows;
      const going = told.state === 'waiting' || told.state === 'reading';
      line.replaceChildren(`${say(told.state)} · ${say('rows')}: ${read} · `, element('span', `${say('accepted')} ${accepted}`, 'good'),
        ' · ', element('span', `${say('rejected')} ${rejected}`, rejected ? 'bad' : ''));
      if (going) { const bar = element('progress'); bar.setAttribute('aria-label', say(told.state)); line.append(' ', bar); }
      if (rejected > shown) {
        showRows(rows, await json(`/v1/files/${file.id}/rejected?limit=${ROWS}`), rejected);
        shown = rejected;
      }
      if (!going) { ended(file, row, told); return; }
    } catch (error) {
      if (key !== mine) return;
      line.replaceChildren(element('span', error.message, 'bad'));
    }
    await pause(wait);
  }
}
function showRows(box, page, rejected) {
  const table = element('table'), head = table.createTHead().insertRow();
  for (const name of ['row', 'reason']) { const cell = element('th', say(name)); cell.scope = 'col'; head.append(cell); }
  const lines = table.createTBody();
  for (const one of page.rows) {
    const line = lines.insertRow();
    line.append(element('td', String(one.row)), element('td', one.reason[lang]));
  }
  const frame = element('div', undefined, 'rows');
  frame.tabIndex = 0;  // so that the arrow keys move it
  frame.setAttribute('role', 'region');
  frame.setAttribute('aria-label', say('reason'));
  frame.append(table);
  box.replaceChildren(frame);
  if (rejected > page.rows.length) box.append(element('p', `${say('more')}: ${rejected - page.rows.length}`, 'soft'));
}
function ended(file, row, told) {
  if (told.reason) row.append(element('p', told.reason[lang], 'bad'));
  if (told.outcome) {
    const { rejected } = told.rows, all = element('button', rejected ? say('fix') : say('all'));
    all.type = 'button';
    all.onclick = () => download(file, rejected).catch(trouble);
    row.append(all);
    if (rejected) row.append(element('p', say('fix_text'), 'soft'));
  }
  groups();
}
async function download({ id, name }, rejected) {
  const told = await call(`/v1/files/${id}/outcome${rejected ? '?only=rejected' : ''}`);
  const ending = /\.(xlsx|csv)"?$/.exec(told.headers.get('Content-Disposition') ?? '')?.[1] ?? 'csv';
  const link = element('a'), stem = name.replace(roster, '').replace(/\.(to-fix|outcome)$/, '');
  link.href = URL.createObjectURL(await told.blob());
  link.download = `${stem}.${rejected ? 'to-fix' : 'outcome'}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// -- hands -------------------------------------------------------------------------------------------------------------

$('door').addEventListener('submit', event => {
  event.preventDefault();
  key = $('key').value.trim();
  $('enter').disabled = true;
  enter().catch(error => { key = ''; quiet(); trouble(error); $('key').select(); }).finally(() => { $('enter').disabled = false; });
});
$('leave').addEventListener('click', leave);
$('again').addEventListener('click', () => groups());
$('files').addEventListener('change', event => { take([...event.target.files]); event.target.value = ''; });
const drop = $('drop');
// Beside the box, too: the browser would open the file in the page's place.
for (const name of ['dragover', 'drop']) document.addEventListener(name, event => event.preventDefault());
for (const name of ['dragenter', 'dragover']) drop.addEventListener(name, () => drop.classList.add('over'));
for (const name of ['dragleave', 'drop']) drop.addEventListener(name, () => drop.classList.remove('over'));
drop.addEventListener('drop', event => take([...event.dataTransfer.files]));
addEventListener('beforeunload', event => { if (busy) event.preventDefault(); });
// The tab's, as the key is: results stay while the language changes.
addEventListener('pagehide', () => { if (key) sessionStorage.setItem('photos', JSON.stringify([...photos])); });
if (key) {
  $('door').hidden = true;
  enter().catch(error => { $('door').hidden = false; trouble(error); });
}
