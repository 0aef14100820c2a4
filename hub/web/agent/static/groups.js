// The agent's groups on their way, group -> programme -> voucher, and what a person must do next.
'use strict';
const SHOWN = 30;  // groups, the newest first
const TO_FIX = ['RETURNED', 'NEEDS_DATA', 'WAITING_COMPANION'];
const UNPAID = ['INVOICED', 'PART_PAID', 'INVOICE_EXPIRED'];
let looks = 0;

async function groups() {
  const look = ++looks, mine = key;
  try {
    let last = [], cursor = '';
    do {
      const page = await json(`/v1/groups?limit=500${cursor && `&cursor=${cursor}`}`);
      last = [...last, ...page.groups].slice(-SHOWN); cursor = page.next ?? '';
    } while (cursor);
    const found = [];
    for (const { id, heads } of last.reverse()) found.push({ ...await json(`/v1/groups/${id}`), heads });
    if (look === looks && mine === key) showGroups(found);  // the last look counts
  } catch (error) { if (mine === key) trouble(error); }
}
function showGroups(found) {
  if (!found.length) { $('groups').replaceChildren(element('p', say('none'))); return; }
  const table = element('table'), head = table.createTHead().insertRow();
  for (const name of ['group', 'pilgrims', 'way', 'next']) { const cell = element('th', say(name)); cell.scope = 'col'; head.append(cell); }
  const rows = table.createTBody();
  for (const one of found) {
    const row = rows.insertRow(), step = next(one);
    const name = named('th', one.agent_group_no, ' ', element('small', one.group_no));
    name.scope = 'row';
    row.append(name, named('td', `${one.requests.length} / ${one.heads}`), way(one), todo(one, step));
  }
  $('groups').replaceChildren(table);
}
function way(group) {
  const done = [group.requests.length >= group.heads, group.state === 'PROGRAMME_READY', group.voucher?.state === 'PAID'];
  const cell = element('td'), list = element('ol', undefined, 'way');
  const now = group.state === 'CANCELLED' ? -1 : done.indexOf(false);
  for (const [at, name] of ['group', 'programme', 'voucher'].entries()) {
    const step = element('li', say(name), done[at] ? 'done' : at === now ? 'now' : '');
    if (done[at]) step.append(' ✓');
    if (at === now) step.setAttribute('aria-current', 'step');
    list.append(step);
  }
  cell.append(list);
  return cell;
}
function next({ state, requests, heads, blocked, voucher }) {
  if (state === 'CANCELLED') return 'step_cancelled';
  if (requests.some(one => TO_FIX.includes(one.state))) return 'step_fix';
  if (voucher?.state === 'INVOICE_EXPIRED') return 'step_expired';
  if (voucher && UNPAID.includes(voucher.state)) return 'step_voucher';
  if (requests.length < heads) return 'step_pilgrims';
  if (requests.some(one => one.state === 'SUBMITTED')) return 'step_company';
  if (blocked) return 'step_blocked';
  return state === 'OPEN' ? 'step_programme' : 'step_wait';
}
function todo(group, step) {
  const cell = element('td', say(step)), bill = group.voucher;
  if (step === 'step_fix') {
    const list = element('ul');
    for (const one of group.requests) if (TO_FIX.includes(one.state)) list.append(named('li', one.request_no));
    cell.append(list);
  }
  if (step === 'step_voucher' || step === 'step_expired') {
    const until = bill.expires_at ? new Date(bill.expires_at).toLocaleString(lang, { dateStyle: 'medium', timeStyle: 'short' }) : '';
    cell.append(element('br'), `${say('bill')} `, element('bdi', bill.bill_no), ': ',
      element('bdi', `${bill.amount} ${bill.currency}`));
    if (Number(bill.paid)) cell.append(` · ${say('paid')} `, element('bdi', bill.paid));
    if (until) cell.append(` · ${say('until')} `, element('bdi', until));
  }
  return cell;
}
