#!/bin/sh
# Copy the database into a folder, with the date in its name.
DATABASE=$1
FOLDER=$2
STAMP=`date +%Y%m%d`
mkdir -p $FOLDER
cp $DATABASE $FOLDER/shop-$STAMP.db
cd $FOLDER
ls shop-*.db | wc -l
