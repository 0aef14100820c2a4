'use strict';
const $ = id => document.getElementById(id), body = document.body;
const texts = JSON.parse(body.dataset.texts), lang = body.dataset.lang;
const say = key => texts[key] ?? key;
const SHOWN = 30;  // groups, the newest first
const photo = /\.(jpe?g|png)$/i, roster = /\.(xlsx|csv)$/i;
let key = sessionStorage.getItem('key') || '';
const seen = new Map();  // file id -> its row on the page
const photos = { good: 0, bad: [] };

async function call(path, options = {}) {
  let told;
  try {
    told = await fetch(path, { ...options, headers: { Authorization: `Bearer ${key}`, ...options.headers } });
  } catch { throw new Error(body.dataset.lost); }
  if (told.status === 401) { leave(); throw new Error(say('wrong_key')); }
  if (!told.ok) throw new Error(reason(await told.json().catch(() => ({}))));
  return told;
}
function reason(problem) {
  const errors = problem.errors?.length ? problem.errors : [problem];
  return errors.map(e => e[lang] ?? e.title ?? e.detail ?? e.code ?? '').join(' ');
}
const json = async path => (await call(path)).json();
function element(tag, text, cls) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (cls) made.className = cls;
  return made;
}
function trouble(error) { $('problem').textContent = error?.message ?? ''; $('problem').hidden = !error; }

async function enter() {
  trouble(null);
  await json('/v1/files?limit=1');
  sessionStorage.setItem('key', key);
  $('door').hidden = true; $('inside').hidden = $('leave').hidden = false;
  groups().catch(trouble);
}
function leave() {
  key = ''; sessionStorage.removeItem('key');
  $('door').hidden = false; $('inside').hidden = $('leave').hidden = true;
}

async function take(given) {
  trouble(null);
  for (const file of given) {
    try {
      if (roster.test(file.name)) await sendRoster(file);
      else if (photo.test(file.name)) await sendPhoto(file.name, file);
      else if (/\.zip$/i.test(file.name)) for await (const one of unzip(file)) await sendPhoto(one.name, one.blob);
      else throw new Error(`${file.name}: ${say('two_text')}`);
    } catch (error) { trouble(error.message === 'zip' ? new Error(`${file.name}: ZIP?`) : error); }
  }
}
async function sendRoster(file) {
  const told = await call(`/v1/files/receive_roster?name=${encodeURIComponent(file.name)}`, {
    method: 'POST', body: file,
    headers: { 'Content-Type': 'application/octet-stream', 'Idempotency-Key': crypto.randomUUID() } });
  const { id } = await told.json(), row = element('div');
  row.append(element('strong', file.name), element('p'));
  seen.set(id, row); $('files-told').prepend(row);
  follow(id, row);
}
async function follow(id, row) {
  for (let wait = 300; ; wait = Math.min(wait * 1.5, 3000)) {
    const told = await json(`/v1/files/${id}`).catch(error => { trouble(error); return null; });
    if (told) {
      const line = row.querySelector('p');
      line.replaceChildren(element('span', `${say(told.state)} · ${say('rows')}: ${told.rows.read} · `));
      line.append(element('span', `${say('accepted')} ${told.rows.accepted}`, 'good'), ' · ',
        element('span', `${say('rejected')} ${told.rows.rejected}`, told.rows.rejected ? 'bad' : ''));
      if (told.state === 'waiting' || told.state === 'reading') line.append(' ', element('progress'));
      else { await ended(id, row, told); return; }
    }
    await new Promise(go => setTimeout(go, wait));
  }
}
async function ended(id, row, told) {
  if (told.reason) row.append(element('p', told.reason[lang], 'bad'));
  if (told.outcome) {
    const { rejected } = told.rows, all = element('button', rejected ? say('fix') : say('all'));
    all.type = 'button';
    all.onclick = () => download(id, rejected).catch(trouble);
    row.append(all);
    if (rejected) row.append(element('p', say('fix_text'), 'soft'));
  }
  groups().catch(trouble);
}
async function download(id, rejected) {
  const told = await call(`/v1/files/${id}/outcome${rejected ? '?only=rejected' : ''}`);
  const name = /filename="?([^";]+)/.exec(told.headers.get('Content-Disposition') ?? '')?.[1] ?? `${id}.csv`;
  const link = element('a');
  link.href = URL.createObjectURL(await told.blob()); link.download = name; link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
async function sendPhoto(name, blob) {
  const short = name.split('/').pop();
  try {
    if (!blob) throw new Error('2 MB');
    await call(`/v1/photos/${encodeURIComponent(short)}`, { method: 'PUT', body: blob, headers: { 'Content-Type': 'application/octet-stream' } });
    photos.good++;
  } catch (error) { photos.bad.push([short, error.message]); }
  const box = $('photos-told');
  box.replaceChildren(element('p', `${say('photos')}: ${say('accepted')} ${photos.good} · ${say('rejected')} ${photos.bad.length}`));
  const list = element('ul');
  for (const [file, why] of photos.bad) { const item = element('li', `${file}: ${why}`, 'bad'); list.append(item); }
  box.append(list);
}

async function groups() {
  let last = [], cursor = '';
  do {
    const page = await json(`/v1/groups?limit=500${cursor && `&cursor=${cursor}`}`);
    last = [...last, ...page.groups].slice(-SHOWN); cursor = page.next ?? '';
  } while (cursor);
  if (!last.length) { $('groups').replaceChildren(element('p', say('none'))); return; }
  const table = element('table'), head = table.createTHead().insertRow();
  for (const name of ['group', 'pilgrims', 'state', 'next']) head.append(element('th', say(name)));
  for (const { id, heads } of last.reverse()) {
    const found = await json(`/v1/groups/${id}`), row = table.insertRow();
    const states = found.requests.map(one => one.state);
    row.append(element('td', `${found.agent_group_no} (${found.group_no})`), element('td', `${states.length} / ${heads}`));
    row.append(element('td', say(found.state.toLowerCase())));
    row.append(element('td', say(step(found, states))));
  }
  $('groups').replaceChildren(table);
}
// group -> programme -> voucher, and what a person must do about it
function step(group, states) {
  if (states.some(one => ['RETURNED', 'NEEDS_DATA', 'WAITING_COMPANION'].includes(one))) return 'step_fix';
  if (!states.length) return 'step_pilgrims';
  if (group.state === 'OPEN') return 'step_programme';
  const bill = group.voucher?.state;
  if (bill && ['INVOICED', 'PART_PAID'].includes(bill)) return 'step_voucher';
  return 'step_wait';
}

$('door').addEventListener('submit', event => { event.preventDefault(); key = $('key').value.trim(); $('key').value = ''; enter().catch(trouble); });
$('leave').addEventListener('click', leave);
$('files').addEventListener('change', event => { take([...event.target.files]); event.target.value = ''; });
const drop = $('drop');
for (const name of ['dragenter', 'dragover']) drop.addEventListener(name, event => { event.preventDefault(); drop.classList.add('over'); });
for (const name of ['dragleave', 'drop']) drop.addEventListener(name, event => { event.preventDefault(); drop.classList.remove('over'); });
drop.addEventListener('drop', event => take([...event.dataTransfer.files]));
if (key) enter().catch(trouble);
