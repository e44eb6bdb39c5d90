// A real browser (Debian's chromium, by playwright-core) that opens what it is told and says what happened. One JSON
// line in, one out: {"url"} -> {"url", "text", "ran": scripts that ran, "asked": requests, "history": URLs of the tab,
// "headers"}. Environment: CLIENTS, PROFILE (folder). A script that runs shows itself by a dialog, by window.ran, by the
// title, or by asking for /ran.
import { createRequire } from 'node:module'
import readline from 'node:readline'

const { chromium } = createRequire(process.env.CLIENTS + '/package.json')('playwright-core')
const context = await chromium.launchPersistentContext(process.env.PROFILE, {
  executablePath: '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking', '--disable-component-update']
})

async function visit (url) {
  const page = await context.newPage()
  const ran = []
  const asked = []
  page.on('dialog', dialog => { ran.push('dialog ' + dialog.message()); dialog.dismiss() })
  page.on('request', request => asked.push(request.url()))
  const answer = await page.goto(url, { waitUntil: 'load', timeout: 20000 })
  await page.waitForTimeout(150) // what a page starts late
  if (await page.evaluate('window.ran === true')) ran.push('window.ran')
  if (await page.title() === 'ran') ran.push('title')
  for (const one of asked) if (one.endsWith('/ran')) ran.push('request')
  const session = await context.newCDPSession(page)
  const { entries } = await session.send('Page.getNavigationHistory')
  const result = {
    url: page.url(),
    text: await page.locator('body').innerText(),
    links: await page.locator('a, img, script, iframe, form, object, svg').count(),
    ran,
    asked,
    history: entries.map(e => e.url + ' ' + e.userTypedURL + ' ' + e.title).slice(1),
    headers: answer.headers()
  }
  await page.close()
  return result
}

console.log(JSON.stringify({ ready: true }))
for await (const line of readline.createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(await visit(JSON.parse(line).url)))
  } catch (error) {
    console.log(JSON.stringify({ problem: String(error) }))
  }
}
await context.close()
