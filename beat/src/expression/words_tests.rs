//! What expressions sound like.

use super::tests::read;

#[test]
fn an_expression_is_said_in_english() {
    for (text, words) in [
        // Times.
        ("0 2 * * *", "at 02:00 each day"),
        ("30 2,14 * * *", "at 02:30 and 14:30 each day"),
        ("0 */6 * * *", "at 00:00, 06:00, 12:00 and 18:00 each day"),
        ("0 */2 * * *", "every 2 hours from 00:00 to 22:00 each day"),
        ("15 1-23/2 * * *", "every 2 hours from 01:15 to 23:15 each day"),
        ("0 9-17 * * *", "every hour from 09:00 to 17:00 each day"),
        ("0 0 22-4 * * ?", "every hour from 22:00 to 04:00 each day"),
        // Across midnight only where each day counts: behind it is another day.
        ("0 0 22-4 ? * MON", "every hour from 00:00 to 04:00 and from 22:00 to 23:00 on Monday"),
        ("0 0-4,22-23 * * 1", "every hour from 00:00 to 04:00 and from 22:00 to 23:00 on Monday"),
        (
            "*/15 22-23,0-4 * * 6",
            "every 15 minutes from 00:00 to 04:45 and from 22:00 to 23:45 on Saturday",
        ),
        (
            "0 0 22-4 * 6 ?",
            "every hour from 00:00 to 04:00 and from 22:00 to 23:00 each day in June",
        ),
        (
            "0/30 * 22-1 ? * MON",
            "every 30 seconds of each minute of the hours 00, 01, 22 and 23 on Monday",
        ),
        ("0 0 23-1 ? * MON", "at 00:00, 01:00 and 23:00 on Monday"),
        ("7 1,2,5,9,20 * * *", "at 01:07, 02:07, 05:07, 09:07 and 20:07 each day"),
        ("@hourly", "every hour"),
        ("5 * * * *", "at 5 minutes past each hour"),
        ("1 * * * *", "at 1 minute past each hour"),
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("*/30 * * * *", "every 30 minutes"),
        ("0,30 9 * * *", "every 30 minutes from 09:00 to 09:30 each day"),
        ("0,20 9 * * *", "at 09:00 and 09:20 each day"),
        ("*/7 * * * *", "every 7 minutes from minute 0 to 56 of each hour"),
        ("5-59/15 * * * *", "every 15 minutes from minute 5 on, of each hour"),
        ("*/15 9-17 * * 1-5", "every 15 minutes from 09:00 to 17:45 on Monday to Friday"),
        ("*/10 2 * * *", "every 10 minutes from 02:00 to 02:50 each day"),
        ("*/15 9,12,15 * * *", "every 15 minutes of the hours 09, 12 and 15 each day"),
        ("*/15 */2 * * *", "every 15 minutes of every 2nd hour from 00 to 22 each day"),
        ("0-29 9 * * *", "every minute from 09:00 to 09:29 each day"),
        ("0-29 9-17 * * *", "every minute from minute 0 to 29 of the hours 09 to 17 each day"),
        ("0,10,25 * * * *", "at minutes 0, 10 and 25 of each hour"),
        ("0,10,25 9 * * *", "at 09:00, 09:10 and 09:25 each day"),
        // Seconds.
        ("* * * * * ?", "every second"),
        ("0/10 * * * * ?", "every 10 seconds"),
        ("5/10 * * * * ?", "every 10 seconds from second 5 to 55 of each minute"),
        ("0 0/10 * * * ?", "every 10 minutes"),
        ("30 0/10 * * * ?", "every 10 minutes from minute 0:30 on, of each hour"),
        ("30 5 * * * ?", "at 5 minutes and 30 seconds past each hour"),
        ("15 30 9 * * ?", "at 09:30:15 each day"),
        ("0,7 30 9 * * ?", "at 09:30 and 09:30:07 each day"),
        ("* 30 9 * * ?", "every second of the minute 09:30 each day"),
        ("*/20 0 9,21 * * ?", "every 20 seconds of the minutes 09:00 and 21:00 each day"),
        ("0/30 * 9-17 * * ?", "every 30 seconds from 09:00 to 17:59:30 each day"),
        ("* 0/5 * * * ?", "every second of every 5th minute from 0 to 55 of each hour"),
        ("1,2,5 * * * * ?", "at seconds 1, 2 and 5 of each minute"),
        // Days.
        ("0 0 1,15 * *", "at 00:00 on the 1st and the 15th of each month"),
        ("0 0 1-7 * *", "at 00:00 on the 1st to the 7th of each month"),
        ("0 0 */2 * *", "at 00:00 on every 2nd day from the 1st to the 31st of each month"),
        ("0 0 L * *", "at 00:00 on the last day of each month"),
        ("0 0 L-3 * *", "at 00:00 on the day 3 days before the last of each month"),
        ("0 0 L-1 * *", "at 00:00 on the day 1 day before the last of each month"),
        ("0 0 15W * *", "at 00:00 on the workday nearest to the 15th of each month"),
        ("0 0 LW * *", "at 00:00 on the last workday of each month"),
        (
            "0 0 L-3W * *",
            "at 00:00 on the workday nearest to the day 3 days before the last of each month",
        ),
        ("0 0 1,LW * *", "at 00:00 on the 1st and the last workday of each month"),
        ("0 2 * * 5L", "at 02:00 on the last Friday of each month"),
        ("0 0 2 ? * 6#3", "at 02:00 on the third Friday of each month"),
        ("0 0 2 ? * MON,WED#2", "at 02:00 on Monday and the second Wednesday of each month"),
        ("0 0 * * 6,0", "at 00:00 on Saturday and Sunday"),
        ("0 0 * * 1,3,5", "at 00:00 on Monday, Wednesday and Friday"),
        ("0 0 0 ? * FRI-MON", "at 00:00 on Friday to Monday"),
        ("@weekly", "at 00:00 on Sunday"),
        ("* * * * 1", "every minute on Monday"),
        // Both day fields.
        ("0 0 13 * 5", "at 00:00 on the 13th of each month, and on Friday"),
        ("0 0 13 6 5", "at 00:00 on the 13th of June, and on Friday in June"),
        (
            "0 0 */2 * 1",
            "at 00:00 on every 2nd day from the 1st to the 31st of each month, if that is Monday",
        ),
        // Months and years.
        ("@yearly", "at 00:00 on the 1st of January"),
        ("0 9 * 6 *", "at 09:00 each day in June"),
        ("0 9 * 6-8 1", "at 09:00 on Monday from June to August"),
        ("0 0 9 1 NOV-FEB ?", "at 09:00 on the 1st of each month from November to February"),
        (
            "0 0 9 1 NOV-FEB ? 2027",
            "at 09:00 on the 1st of January, February, November and December, in 2027",
        ),
        (
            "0 0 9 * NOV-FEB ? 2027",
            "at 09:00 each day in January, February, November and December, in 2027",
        ),
        ("0 9 1 */3 *", "at 09:00 on the 1st of January, April, July and October"),
        ("*/5 * * 1,2 *", "every 5 minutes in January and February"),
        ("0 0 9 1 1 ? 2027", "at 09:00 on the 1st of January, in 2027"),
        ("0 0 9 1 1 ? 2027,2030", "at 09:00 on the 1st of January, in 2027 and 2030"),
        ("0 0 9 1 1 ? 2027-2030", "at 09:00 on the 1st of January, from 2027 to 2030"),
        ("0 0 9 1 1 ? 2027-2099", "at 09:00 on the 1st of January, from 2027 on"),
        (
            "0 0 9 1 1 ? 2027/4",
            "at 09:00 on the 1st of January, in every 4th year from 2027 to 2099",
        ),
        ("0 0 9 1 1 ? 1970-2099", "at 09:00 on the 1st of January"),
        // Intervals and instants.
        ("every 1s", "every second"),
        ("every 90s", "every 90 seconds"),
        ("every 1h", "every hour"),
        ("every 90m", "every 1 hour and 30 minutes"),
        (
            "every 1d2h3m4s",
            "every 1 day, 2 hours, 3 minutes and 4 seconds, counted from 1970-01-01 UTC",
        ),
        ("every 24h", "every day, counted from 1970-01-01 UTC"),
        ("every 7d", "every 7 days, counted from 1970-01-01 UTC"),
        ("every 7d phase 1h", "every 7 days, 1 hour after the turn, counted from 1970-01-01 UTC"),
        ("every 1h phase 15m", "every hour, 15 minutes after the turn"),
        ("at 2027-01-01T09:00", "once, at 09:00 on 1 January 2027"),
        ("at 2027-01-01T09:00 Europe/Berlin", "once, at 09:00 on 1 January 2027, in Europe/Berlin"),
        ("at 2027-01-01T09:00:05+01:00", "once, at 08:00:05 on 1 January 2027 UTC"),
    ] {
        assert_eq!(read(text).words(), words, "{text}");
    }
}
