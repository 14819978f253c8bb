// Chromium at a login form, a download, an upload, an event stream and a WebSocket: `node browser.mjs CHROMIUM FIRST_URL ORIGIN`
// Prints one line of JSON: what each page showed.
import puppeteer from "puppeteer-core";

const [executablePath, first, origin] = process.argv.slice(2);
const browser = await puppeteer.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--ignore-certificate-errors", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const shown = {};
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(120_000);
  await page.goto(first);
  await page.goto(`${origin}/login`);
  await page.type("#user", "somebody");
  await page.type("#password", "wrong");
  const [refused] = await Promise.all([page.waitForNavigation(), page.click("#go")]);
  shown.refused = refused.status();
  await page.goto(`${origin}/login`);
  await page.type("#password", "right");
  await Promise.all([page.waitForNavigation(), page.click("#go")]);
  shown.at = page.url().slice(origin.length);
  shown.welcome = await page.$eval("#welcome", (element) => element.textContent);
  const began = Date.now();
  const press = async (button, result) => {
    await page.click(`#${button}`);
    await page.waitForFunction((id) => document.getElementById(id).textContent !== "", {}, result);
    shown[result] = await page.$eval(`#${result}`, (element) => element.textContent);
  };
  await press("down", "download");
  shown.downSeconds = (Date.now() - began) / 1000;
  await press("up", "upload");
  await press("listen", "events");
  await press("talk", "socket");
  shown.protocol = await page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol);
  shown.cookies = (await page.evaluate(() => document.cookie)).split("; ").map((cookie) => cookie.split("=")[0]);
} finally {
  await browser.close();
}
console.log(JSON.stringify(shown));
